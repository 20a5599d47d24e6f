// Units, thresholds, mappings, overrides and transformations, applied by Grafana's own code.
import {
  type DataFrame, type Field, type FieldConfigEditorBuilder, type FieldConfigPropertyItem, type FieldConfigSource, type GrafanaTheme2,
  FieldColorModeId, FieldType, applyFieldOverrides, cacheFieldDisplayNames, createFieldConfigRegistry, dataLinksOverrideProcessor,
  displayNameOverrideProcessor, getFieldMatcher, identityOverrideProcessor, numberOverrideProcessor,
  standardFieldConfigEditorRegistry, standardTransformers, standardTransformersRegistry, stringOverrideProcessor,
  thresholdsOverrideProcessor, transformDataFrame, unitOverrideProcessor, valueMappingsOverrideProcessor,
} from '@grafana/data';
import type { Panel } from './model';

// The settings every panel type has. Grafana keeps this list with its editors, outside its libraries.
const STANDARD: Record<string, FieldConfigPropertyItem['process']> = {
  actions: identityOverrideProcessor,
  color: identityOverrideProcessor,
  decimals: numberOverrideProcessor,
  description: stringOverrideProcessor,
  displayName: displayNameOverrideProcessor,
  fieldMinMax: identityOverrideProcessor,
  filterable: identityOverrideProcessor,
  links: dataLinksOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  max: numberOverrideProcessor,
  min: numberOverrideProcessor,
  noValue: stringOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  unit: unitOverrideProcessor,
};

// What a panel type takes where the board says nothing (each plugin's module.tsx).
const COLOURS: Record<string, FieldColorModeId> = {
  timeseries: FieldColorModeId.PaletteClassic,
  'state-timeline': FieldColorModeId.ContinuousGrYlRd,
};
const LINES = { drawStyle: 'line', lineWidth: 1, showPoints: 'auto', fillOpacity: 0, axisPlacement: 'auto' };

export function registerGrafana() {
  standardFieldConfigEditorRegistry.setInit(() =>
    Object.entries(STANDARD).map(([id, process]) => item(id, process))
  );
  // Two of the exported names stand for one transformation.
  const known = new Map(Object.values(standardTransformers).map((one) => [one.id as string, one]));
  standardTransformersRegistry.setInit(() =>
    [...known.values()].map((one) => ({ ...one, transformation: async () => one }) as any)
  );
}

function item(id: string, process: FieldConfigPropertyItem['process']): FieldConfigPropertyItem {
  const editor = () => null;
  return { id, path: id, name: id, process, shouldApply: () => true, override: editor, editor };
}

// An axis label or a line style is the values', not the time axis'.
const notTime = (field: Field) => field.type !== FieldType.time;

export async function transformed(panel: Panel, frames: DataFrame[]): Promise<DataFrame[]> {
  if (!panel.transformations?.length) {
    return frames;
  }
  return new Promise((resolve, reject) =>
    transformDataFrame(panel.transformations!, frames).subscribe({ next: resolve, error: reject })
  );
}

export function configured(panel: Panel, frames: DataFrame[], theme: GrafanaTheme2): DataFrame[] {
  const fieldConfig = completed(panel);
  const custom = new Set(Object.keys(fieldConfig.defaults.custom ?? {}));
  for (const property of fieldConfig.overrides.flatMap((override) => override.properties)) {
    if (property.id.startsWith('custom.')) {
      custom.add(property.id.slice('custom.'.length));
    }
  }
  const useCustomConfig = (builder: FieldConfigEditorBuilder<any>) =>
    custom.forEach((id) => builder.addCustomEditor({ ...item(id, identityOverrideProcessor), shouldApply: notTime } as any));
  const fieldConfigRegistry = createFieldConfigRegistry({ useCustomConfig }, panel.type);
  const replaceVariables = (text: string) => text;
  const options = { fieldConfig, fieldConfigRegistry, replaceVariables, theme, timeZone: 'utc' };
  const done = applyFieldOverrides({ data: frames, ...options });
  cacheFieldDisplayNames(done); // where tables look for their headings
  return done;
}

export function completed(panel: Panel): FieldConfigSource {
  const { defaults, overrides } = panel.fieldConfig;
  const custom = panel.type === 'timeseries' ? { ...LINES, ...defaults.custom } : defaults.custom;
  const color = defaults.color ?? { mode: COLOURS[panel.type] ?? FieldColorModeId.Thresholds };
  return { defaults: { ...defaults, custom, color }, overrides };
}

// An override that matches nothing is a name that was changed in one place only.
export function idleOverrides(panel: Panel, frames: DataFrame[]): string[] {
  return panel.fieldConfig.overrides
    .filter(({ matcher }) => {
      const matches = getFieldMatcher(matcher);
      return !frames.some((frame) => frame.fields.some((field) => matches(field, frame, frames)));
    })
    .map(({ matcher }) => `${matcher.id} ${JSON.stringify(matcher.options)}`);
}
