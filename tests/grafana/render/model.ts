// What the page was asked for, the parts of a board's JSON it reads, and how variables get their values.
import type { DataTransformerConfig, FieldConfigSource, ReduceDataOptions } from '@grafana/data';

export interface Target {
  refId: string;
  expr: string;
  legendFormat?: string;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  interval?: string;
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  transparent?: boolean;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: FieldConfigSource;
  // Options differ by panel type; tsc has checked them against Grafana's types already (test_board_types.py).
  options: Record<string, any> & { reduceOptions?: ReduceDataOptions };
  targets?: Target[];
  transformations?: DataTransformerConfig[];
  panels?: Panel[];
}

interface Variable {
  name: string;
  type: string;
  allValue?: string;
  query?: string | { query: string };
  current?: { value?: string | string[] };
}

export interface Board {
  title: string;
  panels: Panel[];
  annotations: { list: Array<{ name: string; enable: boolean; iconColor: string; expr?: string }> };
  templating: { list: Variable[] };
}

export interface Request {
  board: string;
  theme: 'dark' | 'light';
  from: number; // Unix seconds, like to
  to: number;
  scrape: number; // seconds between two scrapes, as the data source's settings would say
  width: number; // pixels
}

export function readRequest(): Request {
  const asked = new URLSearchParams(window.location.search);
  const number = (name: string) => Number(asked.get(name));
  return {
    board: asked.get('board')!,
    theme: asked.get('theme') === 'light' ? 'light' : 'dark',
    from: number('from'),
    to: number('to'),
    scrape: number('scrape'),
    width: number('width'),
  };
}

const seconds = (text: string) => Number(text.slice(0, -1)) * { s: 1, m: 60, h: 3600 }[text.slice(-1)]!;

// Grafana's own rule: about a point per pixel, on steps a person would choose, never below the scrape interval.
export function stepOf(asked: Request, width: number, interval = '0s'): number {
  const least = Math.max((asked.to - asked.from) / width, asked.scrape, seconds(interval));
  return [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600].find((step) => step >= least) ?? 3600;
}

// A variable that has only "All" chosen stands for its allValue; the data source's own name is never sent.
export function interpolate(text: string, board: Board, asked: Request, step: number): string {
  const values: Record<string, string> = {
    __interval: `${step}s`,
    __rate_interval: `${Math.max(step + asked.scrape, 4 * asked.scrape)}s`,
    __range: `${asked.to - asked.from}s`,
  };
  for (const variable of board.templating.list) {
    const chosen = [variable.current?.value ?? ''].flat();
    values[variable.name] = chosen.includes('$__all') ? variable.allValue ?? '.*' : chosen.join('|');
  }
  return text.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) => values[braced ?? bare] ?? whole);
}
