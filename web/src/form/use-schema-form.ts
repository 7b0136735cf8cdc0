import { computed, reactive, ref, toValue, watch, type MaybeRefOrGetter } from 'vue'
import type { InvalidPart, JsonSchema, Problem } from '@/api/types'
import { useText } from '@/text/text'
import { localized } from '@/text/format'
import { fieldsOf, parse, toRaw, type Field, type FieldError, type Raw } from './schema'

/** The values and errors of a form built from a JSON Schema. `initial` gives values other than the defaults. */
export function useSchemaForm(
  schema: MaybeRefOrGetter<JsonSchema | null>,
  initial: MaybeRefOrGetter<Record<string, unknown>> = {},
) {
  const { t, te, locale } = useText()
  const fields = computed(() => fieldsOf(toValue(schema) ?? {}))
  const raw = reactive<Record<string, Raw>>({})
  const refused = ref<Record<string, string>>({})
  const checked = ref(false)

  watch(fields, reset, { immediate: true })

  function reset(): void {
    const values = toValue(initial)
    for (const name of Object.keys(raw)) Reflect.deleteProperty(raw, name)
    for (const field of fields.value) raw[field.name] = toRaw(field, values[field.name])
    refused.value = {}
    checked.value = false
  }

  const parsed = computed(() =>
    fields.value.map((field) => {
      const before = toValue(initial)[field.name] ?? field.schema.default
      return { field, result: parse(field, raw[field.name] ?? '', before) }
    }),
  )

  const errors = computed(() => {
    const found: Record<string, string> = { ...refused.value }
    if (!checked.value) return found
    for (const { field, result } of parsed.value) {
      if ('error' in result) found[field.name] = sentence(field, result.error)
    }
    return found
  })

  function sentence(field: Field, { key, values, row, cell }: FieldError): string {
    const text = t(key, values ?? {})
    if (row === undefined || cell === undefined) return text
    const title = localized(field.schema.items?.properties?.[cell]?.title, locale.value) || cell
    return t('form.inRow', { row: row + 1, cell: title, text })
  }

  /** The values to send, or null while some are wrong: then the errors are shown. */
  function collect(): Record<string, unknown> | null {
    checked.value = true
    refused.value = {}
    const values: Record<string, unknown> = {}
    for (const { field, result } of parsed.value) {
      if ('error' in result) return null
      if (result.value !== undefined) values[field.name] = result.value
    }
    return values
  }

  /** Puts the API's errors beside their fields; returns those that belong to none. */
  function refuse(problem: Problem): string[] {
    const beside: Record<string, string> = {}
    const others: string[] = []
    for (const error of problem.errors ?? []) {
      const name = fieldOf(error.pointer, error.name)
      const text = textOf(error)
      if (name !== undefined && name in raw) beside[name] = text
      else others.push(text)
    }
    refused.value = beside
    return others
  }

  /** In the page's language where it has a text for the code; else as the API says it. */
  function textOf({ code, expected, detail }: InvalidPart): string {
    const key = `form.refused.${code}`
    return code && te(key, 'en') ? t(key, { expected, count: Number(expected) }) : detail
  }

  return { fields, raw, errors, collect, refuse, reset }
}

/** `/parameters/environments/0` and `parameters.environments` are about the field `environments`. */
export function fieldOf(pointer?: string, name?: string): string | undefined {
  const path = pointer ? pointer.split('/').filter(Boolean) : (name ?? '').split('.').filter(Boolean)
  const inside = path.filter((part) => part !== 'body')
  return inside[0] === 'parameters' ? inside[1] : inside[0]
}
