// Prometheus' answers as the data frames Grafana's Prometheus data source would make of them.
import { type DataFrame, type Field, FieldType, createDataFrame } from '@grafana/data';
import { type Board, type Panel, type Request, type Target, interpolate, stepOf } from './model';

interface Series {
  metric: Record<string, string>;
  values: Array<[number, string]>;
}

export async function ask(expr: string, asked: Request, step: number, instant = false): Promise<Series[]> {
  const when = instant ? `time=${asked.to}` : `start=${asked.from}&end=${asked.to}&step=${step}`;
  const url = `/api/v1/${instant ? 'query' : 'query_range'}?query=${encodeURIComponent(expr)}&${when}`;
  const answer = await (await fetch(url)).json();
  if (answer.status !== 'success') {
    throw new Error(`${expr}: ${answer.error}`);
  }
  if (answer.data.resultType === 'scalar') {
    return [{ metric: {}, values: [answer.data.result] }];
  }
  return answer.data.result.map((one: any) => ({ metric: one.metric, values: one.values ?? [one.value] }));
}

export async function framesOf(panel: Panel, board: Board, asked: Request, width: number): Promise<DataFrame[]> {
  const targets = panel.targets ?? [];
  const answers = targets.map(async (target) => {
    const step = stepOf(asked, width, target.interval);
    const series = await ask(interpolate(target.expr, board, asked, step), asked, step, target.instant);
    if (target.format === 'table') {
      return [tableFrame(series, target, targets.length > 1)].filter((frame) => frame.length > 0);
    }
    return target.format === 'heatmap' ? bucketFrames(series, target, step) : series.map((one) => lineFrame(one, target, step));
  });
  return (await Promise.all(answers)).flat();
}

function lineFrame(series: Series, target: Target, step: number): DataFrame {
  const legend = target.legendFormat?.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => series.metric[label] ?? '');
  const all = Object.entries(series.metric).map(([label, value]) => `${label}="${value}"`);
  const name = legend && legend !== '__auto' ? legend : `{${all.join(', ')}}`;
  return createDataFrame({
    refId: target.refId,
    name,
    fields: [
      // The interval is what makes Grafana leave a gap where points are missing.
      times(series, { interval: step * 1000 }),
      numbers('Value', series.values, { displayNameFromDS: name }, series.metric),
    ],
  });
}

// An instant query as a table: one row for each series, one column for each label, "Value #A" among several queries.
function tableFrame(series: Series[], target: Target, several: boolean): DataFrame {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const newest = series.map((one) => one.values.at(-1)!);
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: newest.map(([at]) => at * 1000) },
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        config: {},
        values: series.map((one) => one.metric[label] ?? ''),
      })),
      numbers(several ? `Value #${target.refId}` : 'Value', newest, {}),
    ],
  });
}

// Prometheus' buckets are cumulative; a heatmap wants what lies between one bound and the next.
function bucketFrames(series: Series[], target: Target, step: number): DataFrame[] {
  const sorted = [...series].sort((a, b) => Number(bound(a)) - Number(bound(b)));
  const below = new Map<number, number>();
  return sorted.map((one) => {
    const own = one.values.map(([at, value]): [number, string] => {
      const inside = Math.max(Number(value) - (below.get(at) ?? 0), 0);
      below.set(at, Number(value));
      return [at, String(inside)];
    });
    const fields = [times(one, { interval: step * 1000 }), numbers(one.metric.le, own, {}, one.metric)];
    return createDataFrame({ refId: target.refId, fields });
  });
}

const bound = (series: Series) => series.metric.le.replace('+Inf', 'Infinity');

const times = (series: Series, config: Field['config']) => ({
  name: 'Time',
  type: FieldType.time,
  config,
  values: series.values.map(([at]) => at * 1000),
});

const numbers = (name: string, points: Series['values'], config: Field['config'], labels?: Field['labels']) => ({
  name,
  type: FieldType.number,
  config,
  labels,
  values: points.map(([, value]) => Number(value)),
});
