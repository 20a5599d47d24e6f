// Grafana does not publish its state timeline and heatmap. These simple drawings stand in for them and say so; names,
// texts and colours still come from Grafana's field processors, so those are judged all the same.
import { type DataFrame, type Field, FieldType, getFieldDisplayName } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import type { Request } from './model';

interface Props {
  frames: DataFrame[];
  asked: Request;
  width: number;
  height: number;
}

const NAMES = 150;
const AXIS = 18;

export function StateTimeline({ frames, asked, width, height }: Props) {
  const theme = useTheme2();
  const rows = frames.flatMap((frame) =>
    frame.fields
      .filter((field) => field.type !== FieldType.time)
      .map((field) => ({ name: getFieldDisplayName(field, frame, frames), time: frame.fields[0], field }))
  );
  const tall = Math.min(32, (height - AXIS) / Math.max(rows.length, 1));
  return (
    <svg width={width} height={height} fontSize={11} fill={theme.colors.text.primary}>
      {rows.map(({ name, time, field }, row) => (
        <g key={row} transform={`translate(0 ${row * tall})`}>
          <text x={NAMES - 6} y={tall / 2 + 4} textAnchor="end">{name.slice(0, 26)}</text>
          {runs(time, field).map(({ from, to, text, color }) => {
            const left = place(from / 1000, asked, width);
            const wide = Math.max(place(to / 1000, asked, width) - left, 1);
            return (
              <g key={from}>
                <rect x={left} y={1} width={wide} height={tall - 2} fill={color} fillOpacity={0.7} />
                {wide > 7 * text.length && <text x={left + 4} y={tall / 2 + 4}>{text}</text>}
              </g>
            );
          })}
        </g>
      ))}
      <text x={NAMES} y={height - 4} fill={theme.colors.text.secondary}>drawn by a stand-in for Grafana's state timeline</text>
    </svg>
  );
}

const place = (at: number, asked: Request, width: number) =>
  NAMES + ((at - asked.from) / (asked.to - asked.from)) * (width - NAMES - 4);

function runs(time: Field, field: Field) {
  const found: Array<{ from: number; to: number; text: string; color: string }> = [];
  const step = time.config.interval!;
  time.values.forEach((at, index) => {
    const { text, color = 'grey' } = field.display!(field.values[index]);
    const last = found.at(-1);
    if (last && last.text === text && last.color === color && at - last.to <= step) {
      last.to = at + step;
    } else {
      found.push({ from: at, to: at + step, text, color });
    }
  });
  return found;
}

export function Heatmap({ frames, asked, width, height }: Props) {
  const theme = useTheme2();
  const rows = frames.map((frame) => ({ bound: frame.fields[1].name, times: frame.fields[0].values, counts: frame.fields[1].values }));
  const most = Math.max(...rows.flatMap((row) => row.counts), 1e-9);
  const tall = (height - AXIS) / Math.max(rows.length, 1);
  return (
    <svg width={width} height={height} fontSize={10} fill={theme.colors.text.secondary}>
      {rows.map(({ bound, times, counts }, row) => (
        <g key={bound} transform={`translate(0 ${height - AXIS - (row + 1) * tall})`}>
          {(row % 2 === 0 || tall > 11) && <text x={NAMES - 6} y={tall / 2 + 4} textAnchor="end">{bound}</text>}
          {times.map((at: number, index: number) =>
            counts[index] > 0 ? (
              <rect key={at} x={place(at / 1000, asked, width)} y={0.5} height={tall - 1}
                width={Math.max((width - NAMES) / times.length - 0.5, 1)}
                fill={theme.visualization.getColorByName('orange')} fillOpacity={0.15 + 0.85 * (counts[index] / most)} />
            ) : null
          )}
        </g>
      ))}
      <text x={NAMES} y={height - 4}>drawn by a stand-in for Grafana's heatmap</text>
    </svg>
  );
}
