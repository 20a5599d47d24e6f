// Each panel type drawn with the component Grafana draws it with, given what Grafana's panel would give it.
import {
  type DataFrame, type FieldDisplay, type TimeRange, FieldType, VizOrientation, applyNullInsertThreshold, dateTime,
  getDisplayValueAlignmentFactors, getFieldDisplayName, getFieldDisplayValues, renderMarkdown,
} from '@grafana/data';
import {
  BarGauge, BigValue, BigValueTextMode, type UPlotConfigBuilder, TimeSeries, VizRepeater, useTheme2,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { useMemo } from 'react';
import { completed } from './fields';
import type { Panel, Request } from './model';
import { Heatmap, StateTimeline } from './standins';

export interface Mark {
  from: number; // Unix seconds, like to
  to: number;
  color: string;
}

export interface PanelProps {
  panel: Panel;
  frames: DataFrame[];
  marks: Mark[];
  asked: Request;
  width: number;
  height: number;
}

export function PanelBody(props: PanelProps) {
  const { panel, frames, asked, width, height } = props;
  const { options } = panel;
  switch (panel.type) {
    case 'stat':
    case 'bargauge':
      return <Singles {...props} />;
    case 'text':
      return <div dangerouslySetInnerHTML={{ __html: renderMarkdown(options.content) }} />;
  }
  if (frames.length === 0) {
    return <NoData {...props} />;
  }
  switch (panel.type) {
    case 'timeseries':
      return <Lines {...props} />;
    case 'table':
      return (
        <TableNG data={frames[0]} width={width} height={height} sortBy={options.sortBy} cellHeight={options.cellHeight}
          noHeader={options.showHeader === false} fieldConfig={completed(panel)} />
      );
    case 'state-timeline':
      return <StateTimeline frames={frames} asked={asked} width={width} height={height} />;
    case 'heatmap':
      return <Heatmap frames={frames} asked={asked} width={width} height={height} />;
  }
  throw new Error(`nothing here draws a ${panel.type}`);
}

// Grafana shows the same words, or the panel's own, where a query answers with nothing.
function NoData({ panel, height }: PanelProps) {
  const words = panel.fieldConfig.defaults.noValue ?? 'No data';
  return <div style={{ display: 'grid', placeItems: 'center', height, fontSize: 14 }}>{words}</div>;
}

function Lines({ panel, frames, marks, asked, width, height }: PanelProps) {
  const theme = useTheme2();
  const [from, to] = [asked.from * 1000, asked.to * 1000];
  // As Grafana's panel does: a point that is missing is a gap. The component itself does so for the first line only.
  const gapped = useMemo(
    () => frames.map((frame) => applyNullInsertThreshold({ frame, refFieldPseudoMin: from, refFieldPseudoMax: to })),
    [frames, from, to]
  );
  const legend = { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true, ...panel.options.legend };
  // Grafana keeps its annotation layer to itself; a band for each episode stands in for it.
  const drawMarks = (builder: UPlotConfigBuilder) => {
    builder.addHook('drawClear', (plot) => {
      for (const mark of marks) {
        const left = Math.max(plot.valToPos(mark.from * 1000, 'x', true), plot.bbox.left);
        const right = Math.min(plot.valToPos(mark.to * 1000, 'x', true), plot.bbox.left + plot.bbox.width);
        plot.ctx.fillStyle = `${theme.visualization.getColorByName(mark.color)}1f`;
        plot.ctx.fillRect(left, plot.bbox.top, Math.max(right - left, 1), plot.bbox.height);
      }
    });
    return null;
  };
  return (
    <TimeSeries frames={gapped} timeRange={timeRange(from, to)} timeZone="utc" width={width} height={height} legend={legend}>
      {drawMarks}
    </TimeSeries>
  );
}

function timeRange(fromMs: number, toMs: number): TimeRange {
  const [from, to] = [dateTime(fromMs), dateTime(toMs)];
  return { from, to, raw: { from, to } };
}

export function singlesOf(panel: Panel, frames: DataFrame[], theme: ReturnType<typeof useTheme2>): FieldDisplay[] {
  return getFieldDisplayValues({
    fieldConfig: completed(panel),
    reduceOptions: panel.options.reduceOptions ?? { calcs: ['lastNotNull'] },
    replaceVariables: (text) => text,
    theme,
    data: frames,
    sparkline: panel.type === 'stat' && panel.options.graphMode !== 'none',
    timeZone: 'utc',
  });
}

function Singles({ panel, frames, width, height }: PanelProps) {
  const theme = useTheme2();
  const { options } = panel;
  const values = singlesOf(panel, frames, theme);
  const draw = panel.type === 'stat' ? bigValue : bar;
  return (
    <VizRepeater<FieldDisplay, any>
      getValues={() => values}
      getAlignmentFactors={(all) => getDisplayValueAlignmentFactors(all)}
      renderValue={(given) => draw({ ...given, options, field: given.value.field, display: given.value.display, theme })}
      width={width}
      height={height}
      source={frames}
      itemSpacing={panel.type === 'stat' ? 3 : 10}
      autoGrid={panel.type === 'stat'}
      renderCounter={0}
      orientation={options.orientation === 'auto' || !options.orientation ? VizOrientation.Auto : options.orientation}
      minVizHeight={panel.type === 'bargauge' ? options.minVizHeight ?? 16 : undefined}
      maxVizHeight={panel.type === 'bargauge' ? options.maxVizHeight ?? 300 : undefined}
    />
  );
}

function bigValue({ value, display, options, width, height, count, alignmentFactors, theme }: any) {
  return (
    <BigValue value={display} sparkline={value.sparkline} count={count} width={width} height={height} theme={theme}
      colorMode={options.colorMode ?? 'value'} graphMode={options.graphMode ?? 'area'}
      justifyMode={options.justifyMode ?? 'auto'} textMode={options.textMode ?? BigValueTextMode.Auto}
      text={options.text} alignmentFactors={alignmentFactors} disableWideLayout={options.wideLayout === false} />
  );
}

function bar({ value, display, field, options, width, height, orientation, alignmentFactors, theme }: any) {
  return (
    <BarGauge value={display} field={field} display={value.view?.getFieldDisplayProcessor(value.colIndex)} width={width}
      height={height} orientation={orientation} theme={theme} text={options.text} displayMode={options.displayMode ?? 'gradient'}
      showUnfilled={options.showUnfilled ?? true} valueDisplayMode={options.valueMode ?? 'color'}
      namePlacement={options.namePlacement ?? 'auto'} alignmentFactors={alignmentFactors} itemSpacing={10} />
  );
}

// What a reader of the panel reads, for the test to compare with what Prometheus answered.
export function textsOf(panel: Panel, frames: DataFrame[], theme: ReturnType<typeof useTheme2>) {
  if (panel.type === 'stat' || panel.type === 'bargauge') {
    return singlesOf(panel, frames, theme).map(({ display }) => ({ ...shown(display), name: display.title ?? '' }));
  }
  return frames.flatMap((frame) =>
    frame.fields
      .filter((field) => field.type !== FieldType.time && field.values.length > 0)
      .map((field) => ({ ...shown(field.display!(field.values.at(-1))), name: getFieldDisplayName(field, frame, frames) }))
  );
}

const shown = ({ prefix = '', text, suffix = '', numeric, color = '' }: any) => ({
  text: `${prefix}${text}${suffix}`,
  value: Number.isNaN(numeric) ? null : numeric,
  color,
});
