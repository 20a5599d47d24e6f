// A whole board on its grid. What was drawn is reported in window.report, for the test to judge.
import { type DataFrame, type GrafanaTheme2, ThemeContext, createTheme } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { configured, idleOverrides, registerGrafana, transformed } from './fields';
import { ask, framesOf } from './frames';
import { type Board, type Panel, type Request, interpolate, readRequest, stepOf } from './model';
import { type Mark, PanelBody, textsOf } from './panels';

const ROW = 30; // pixels of one grid row, and the gap between panels, as in Grafana
const GAP = 8;

interface Drawn {
  panel: Panel;
  frames: DataFrame[];
  box: { left: number; top: number; width: number; height: number };
}

async function main() {
  registerGrafana();
  const asked = readRequest();
  // Grafana's own font is not among its libraries.
  const typography = { fontFamily: 'DejaVu Sans, sans-serif', fontFamilyMonospace: 'DejaVu Sans Mono, monospace' };
  const theme = createTheme({ colors: { mode: asked.theme }, typography });
  document.body.style.margin = '0';
  const board: Board = await (await fetch(`/boards/${asked.board}.json`)).json();
  // Collapsed rows are shown open: what nobody unfolds in a test would never be drawn.
  const panels = unfolded(board.panels);
  const drawn = await Promise.all(
    panels.map(async (panel): Promise<Drawn> => {
      const box = boxOf(panel, asked);
      const frames = await transformed(panel, await framesOf(panel, board, asked, box.width));
      return { panel, box, frames: configured(panel, frames, theme) };
    })
  );
  const marks = await marksOf(board, asked);
  createRoot(document.getElementById('board')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Grid title={board.title} drawn={drawn} marks={marks} asked={asked} theme={theme} />
    </ThemeContext.Provider>
  );
  await document.fonts.ready;
  while (!drawn.every(isThere)) {
    await new Promise(requestAnimationFrame); // the test gives up, not the page
  }
  // Lines are drawn in the frame after their canvas appears; tables measure themselves first.
  await new Promise((resolve) => setTimeout(resolve, 300));
  (window as any).report = drawn.map((one) => reportOf(one, theme));
}

function isThere({ panel, frames }: Drawn): boolean {
  const section = document.getElementById(`panel-${panel.id}`);
  return !!section?.querySelector(panel.type === 'timeseries' && frames.length > 0 ? 'canvas' : '*');
}

function unfolded(panels: Panel[]): Panel[] {
  let shift = 0;
  return panels.flatMap((panel) => {
    // Rows and texts have no fields to configure.
    const fieldConfig = panel.fieldConfig ?? { defaults: {}, overrides: [] };
    const here = { ...panel, fieldConfig, gridPos: { ...panel.gridPos, y: panel.gridPos.y + shift } };
    const inner = panel.panels ?? [];
    const moved = inner.map((one) => ({ ...one, gridPos: { ...one.gridPos, y: one.gridPos.y + shift } }));
    const bottom = Math.max(...inner.map(({ gridPos }) => gridPos.y + gridPos.h), 0);
    shift += inner.length > 0 ? bottom - panel.gridPos.y - 1 : 0;
    return [here, ...moved];
  });
}

function boxOf({ gridPos: { x, y, w, h } }: Panel, { width }: Request) {
  const column = (width - GAP) / 24;
  return { left: GAP + x * column, top: 40 + y * (ROW + GAP), width: w * column - GAP, height: h * (ROW + GAP) - GAP };
}

async function marksOf(board: Board, asked: Request): Promise<Mark[]> {
  const step = stepOf(asked, asked.width);
  const enabled = board.annotations.list.filter((one) => one.enable && one.expr);
  const found = enabled.map(async ({ expr, iconColor }) => {
    const series = await ask(interpolate(expr!, board, asked, step), asked, step);
    return series.flatMap(({ values }) => {
      const bands: Mark[] = [];
      for (const [at] of values.filter(([, value]) => Number(value) !== 0)) {
        const last = bands.at(-1);
        if (last && at - last.to <= step) {
          last.to = at;
        } else {
          bands.push({ from: at, to: at, color: iconColor });
        }
      }
      return bands;
    });
  });
  return (await Promise.all(found)).flat();
}

function Grid({ title, drawn, marks, asked, theme }: {
  title: string; drawn: Drawn[]; marks: Mark[]; asked: Request; theme: GrafanaTheme2;
}) {
  const height = Math.max(...drawn.map(({ box }) => box.top + box.height)) + GAP;
  return (
    <main style={{ position: 'relative', height, background: theme.colors.background.canvas }}>
      <h1 style={{ fontSize: 18, padding: 10 }}>{title}</h1>
      {drawn.map(({ panel, frames, box }) => (
        <section key={panel.id} id={`panel-${panel.id}`} style={{ position: 'absolute', ...box }}>
          {panel.type === 'row' ? (
            <h2 style={{ fontSize: 16 }}>{panel.title}</h2>
          ) : (
            <PanelChrome title={panel.title} description={panel.description} width={box.width} height={box.height}
              displayMode={panel.transparent ? 'transparent' : 'default'}>
              {(width, height) => (
                <PanelBody panel={panel} frames={frames} marks={marks} asked={asked} width={width} height={height} />
              )}
            </PanelChrome>
          )}
        </section>
      ))}
    </main>
  );
}

function reportOf({ panel, frames }: Drawn, theme: GrafanaTheme2) {
  const section = document.getElementById(`panel-${panel.id}`)!;
  return {
    id: panel.id,
    type: panel.type,
    title: panel.title,
    series: frames.length,
    shown: panel.type === 'row' || panel.type === 'text' ? [] : textsOf(panel, frames, theme),
    text: section.innerText,
    ink: inkOf(section),
    idleOverrides: frames.length > 0 ? idleOverrides(panel, frames) : [],
  };
}

// Points of the canvas that carry a colour: a line that is there is more than its axes and grid.
function inkOf(section: HTMLElement): number {
  const canvas = section.querySelector('canvas');
  if (!canvas) {
    return 0;
  }
  const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((_, index) => index % 4 === 3 && data[index] > 60).length;
}

main().catch((error) => {
  console.error(String(error?.stack ?? error));
  (window as any).report = [];
});
