// Elements by id, and elements made from text. Text only ever becomes text: names come from the network.

export const byId = (id) => document.getElementById(id);

/** Return a new element with `props` set and `children` (elements or text) inside. */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Set an element's text only if it differs: a selection, and a screen reader's place, survive. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show or hide. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}
