// Puts questions to @grafana/data, the library Grafana itself formats, colours and transforms with.
// Reads a JSON list of questions from stdin and writes the list of answers to stdout.
// The order matters: the library asks the browser's language when it loads, and takes a window for a browser later.
Object.defineProperty(globalThis, 'navigator', { value: { language: 'en-US', languages: ['en-US'] }, configurable: true });
const grafana = require('@grafana/data');
globalThis.window = {};

const theme = grafana.createTheme({ colors: { mode: 'dark' } });

// Only the transformation itself matters without an editor; two of the exported names stand for the same one.
grafana.standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(grafana.standardTransformers).map((item) => [item.id, item])).values()].map((item) => ({
    ...item,
    transformation: async () => item,
  }))
);

const units = new Set(grafana.getValueFormats().flatMap((group) => group.submenu.map((item) => item.value)));

const answer = {
  unknownUnits: ({ ids }) => ids.filter((id) => !units.has(id)),

  // Names that stand for no colour; Grafana would hand them to the browser as they are.
  unknownColours: ({ names }) =>
    names.filter((name) => !/^(#|rgb|transparent$)/.test(theme.visualization.getColorByName(name))),

  // Each value as a panel with this field config would show it, its colour by the name the config has for it.
  display: ({ config, values }) => {
    const field = { name: 'value', type: grafana.FieldType.number, config, values };
    const show = grafana.getDisplayProcessor({ field, theme });
    const steps = (config.thresholds?.steps ?? []).map((step) => step.color);
    const mapped = (config.mappings ?? []).flatMap((mapping) =>
      mapping.type === 'value' ? Object.values(mapping.options).map((to) => to.color) : [mapping.options.result.color]
    );
    const names = new Map(
      [...steps, ...mapped].filter(Boolean).map((name) => [theme.visualization.getColorByName(name), name])
    );
    return values.map((value) => {
      const shown = show(value);
      return { text: grafana.formattedValueToString(shown), color: names.get(shown.color) ?? shown.color };
    });
  },

  // The columns (name, values) of every frame after the panel's transformations.
  transform: async ({ frames, transformations }) => {
    const unknown = transformations.filter((one) => !grafana.standardTransformersRegistry.getIfExists(one.id));
    if (unknown.length > 0) {
      throw new Error(`no such transformation: ${unknown.map((one) => one.id)}`);
    }
    const stream = grafana.transformDataFrame(transformations, frames.map((frame) => grafana.toDataFrame(frame)));
    const done = await new Promise((resolve, reject) => stream.subscribe({ next: resolve, error: reject }));
    return done.map((frame) => frame.fields.map((field) => [grafana.getFieldDisplayName(field, frame, done), [...field.values]]));
  },
};

async function main() {
  const questions = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const answers = [];
  for (const { ask, ...rest } of questions) {
    answers.push(await answer[ask](rest));
  }
  process.stdout.write(JSON.stringify(answers));
}

main();
