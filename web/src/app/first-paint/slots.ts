/**
 * What the server fills in. A slot is written as a word that Vue and URLs leave as it is; the build puts an
 * expression of Jinja2 in its place. `api/routes/first_paint.py` gives the values.
 */
export const SLOTS = ['project_id', 'project_name', 'progress', 'step.step', 'step.name'] as const
export type SlotName = (typeof SLOTS)[number]

export const slot = (name: SlotName) => `__slot_${name}__`

/** Around what is written only while the initialization has not ended. */
export const IF_OPEN = '__if_open__'
export const END_IF = '__end_if__'

/** Around what is written once for each step, and once for each status in there. */
export const EACH_STEP = '__each_step__'
export const END_EACH = '__end_each__'
export const WHEN = (status: string) => `__when_${status}__`

const JINJA: [RegExp, string][] = [
  [/<!--.*?-->/gs, ''],
  [/__slot_([\w.]+?)__/g, '{{ $1 }}'],
  [/__each_step__/g, '{% for step in steps %}'],
  [/__end_each__/g, '{% endfor %}'],
  [/__when_(\w+?)__/g, "{% if step.status == '$1' %}"],
  [/__if_open__/g, '{% if is_open %}'],
  [/__end_if__/g, '{% endif %}'],
]

/** Rendered HTML as a template. Throws where a slot is missing, or where Jinja2 would take a text of ours for its own. */
export function toTemplate(html: string): string {
  if (/\{[{%#]/.test(html)) throw new Error('The first paint holds what Jinja2 would act on')
  const missing = SLOTS.filter((name) => !html.includes(slot(name)))
  if (missing.length > 0) throw new Error(`The first paint has no slot for ${missing.join(', ')}`)
  return JINJA.reduce((text, [from, to]) => text.replace(from, to), html)
}
