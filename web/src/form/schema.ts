import type { JsonSchema } from '@/api/types'

export type FieldKind = 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'choices' | 'list' | 'rows' | 'json'

export interface Field {
  name: string
  kind: FieldKind
  required: boolean
  schema: JsonSchema
}

/** What stands in a control: text of what is typed, a tick, the entries of a list, or the cells of its rows. */
export type Raw = string | boolean | string[] | RawRow[]
export type RawRow = Record<string, string | boolean>

/** A text's key and its values, for the text layer. */
export interface FieldError {
  key: string
  values?: Record<string, unknown>
  /** where it is in a list of rows, from 0 */
  row?: number
  cell?: string
}

export function fieldsOf(schema: JsonSchema): Field[] {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    kind: kindOf(property),
    required: required.has(name),
    schema: property,
  }))
}

function typeOf({ type }: JsonSchema): string | undefined {
  return Array.isArray(type) ? type.find((one) => one !== 'null') : type
}

function kindOf(schema: JsonSchema): FieldKind {
  if (schema.enum) return 'choice'
  switch (typeOf(schema)) {
    case 'string':
      return 'text'
    case 'integer':
      return 'integer'
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'array':
      if (schema.items?.enum) return 'choices'
      return schema.items ? kindOfItems(schema.items) : 'json'
    default:
      return 'json'
  }
}

const CELLS: readonly FieldKind[] = ['text', 'number', 'integer', 'boolean', 'choice']

/** Objects of plain values are edited as rows of a table; what is nested deeper is edited as JSON. */
function kindOfItems(items: JsonSchema): FieldKind {
  if (typeOf(items) === 'string') return 'list'
  const cells = typeOf(items) === 'object' ? fieldsOf(items) : []
  return cells.length > 0 && cells.every(({ kind }) => CELLS.includes(kind)) ? 'rows' : 'json'
}

/** A value as text, by the rule of blueprints: JSON for all but strings. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** A new row, with the defaults of its cells. */
export function newRow({ schema }: Field, value: Record<string, unknown> = {}): RawRow {
  const cells = fieldsOf(schema.items ?? {}).map((cell) => [cell.name, toRaw(cell, value[cell.name])])
  return Object.fromEntries(cells) as RawRow
}

/** What a control shows for a value; what is absent shows the schema's default. */
export function toRaw(field: Field, value: unknown = field.schema.default): Raw {
  const { kind } = field
  switch (kind) {
    case 'rows':
      return Array.isArray(value) ? value.map((row) => newRow(field, row as Record<string, unknown>)) : []
    case 'boolean':
      return value === true
    case 'list':
      return Array.isArray(value) ? value.map(textOf) : []
    case 'choices':
      return Array.isArray(value) ? value.map((one) => JSON.stringify(one)) : []
    case 'choice':
    case 'json':
      return value === undefined ? '' : JSON.stringify(value, null, kind === 'json' ? 2 : 0)
    default:
      return textOf(value)
  }
}

export type Parsed = { value: unknown } | { error: FieldError }

/**
 * The value that a control stands for; `undefined` for one that is to be left out. `before` is what leaving it out
 * would mean: the value so far, or the default.
 */
export function parse(field: Field, raw: Raw, before: unknown = field.schema.default): Parsed {
  const value = read(field, raw, before)
  if (typeof value === 'object' && value !== null && 'error' in value) return value as Parsed
  const error = check(field, value)
  return error ? { error } : { value }
}

function read(field: Field, raw: Raw, before: unknown): unknown {
  const { kind, schema, required } = field
  if (typeof raw === 'boolean') return raw
  if (kind === 'rows') return readRows(field, raw as RawRow[])
  if (Array.isArray(raw)) return readList(field, raw as string[], before)
  if (kind === 'text' && raw !== '') return raw
  if (kind === 'text' && required) return schema.minLength === 0 ? '' : undefined
  if (raw.trim() === '') return emptied(field, before)
  if (kind === 'json' || kind === 'choice') return readJson(raw)
  return readNumber(field, raw.trim(), before)
}

/** What an emptied control stands for. Left out, its value would come back. */
function emptied({ kind, schema, required }: Field, before: unknown): unknown {
  if (required || before === undefined || before === null || before === '') return undefined
  if (Array.isArray(schema.type) && schema.type.includes('null')) return null
  return kind === 'text' ? '' : { error: { key: 'form.cannotBeEmpty' } }
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

function readNumber({ kind, required }: Field, text: string, before: unknown): unknown {
  const number = Number(text)
  if (!DECIMAL.test(text) || !Number.isFinite(number)) return { error: { key: 'form.badNumber' } }
  if (kind === 'integer' && !Number.isInteger(number)) return { error: { key: 'form.badInteger' } }
  if (isExact(text)) return number
  // What came in is rounded already; left out, it stays what it is.
  return text === textOf(before) && !required ? undefined : { error: { key: 'form.tooPrecise' } }
}

/** Whether a whole number is the same in JavaScript. */
function isExact(text: string): boolean {
  return !/^[+-]?\d+$/.test(text) || Number.isSafeInteger(Number(text))
}

/** An emptied list is sent as such only where leaving it out would mean something else. */
function readList({ kind, required }: Field, raw: string[], before: unknown): unknown[] | undefined {
  const entries = raw.map((entry) => entry.trim()).filter((entry) => entry !== '')
  const meansSomething = required || (Array.isArray(before) && before.length > 0)
  if (entries.length === 0 && !meansSomething) return undefined
  return kind === 'choices' ? entries.map((entry) => JSON.parse(entry) as unknown) : entries
}

function readRows({ schema }: Field, rows: RawRow[]): unknown {
  const cells = fieldsOf(schema.items ?? {})
  const read: Record<string, unknown>[] = []
  for (const [index, row] of rows.entries()) {
    const values: Record<string, unknown> = {}
    for (const cell of cells) {
      const parsed = parse(cell, row[cell.name] ?? '')
      if ('error' in parsed) return { error: { ...parsed.error, row: index, cell: cell.name } }
      if (parsed.value !== undefined) values[cell.name] = parsed.value
    }
    read.push(values)
  }
  return read
}

const STRINGS = /"(?:[^"\\]|\\.)*"/g

function readJson(raw: string): unknown {
  try {
    const value = JSON.parse(raw) as unknown
    const numbers = raw.replace(STRINGS, '').match(/[-+.\deE]*\d[-+.\deE]*/g) ?? []
    return numbers.every(isExact) ? value : { error: { key: 'form.tooPrecise' } }
  } catch {
    return { error: { key: 'form.badJson' } }
  }
}

/** What can be told at once; the API checks all of the schema and has the last word. */
function check({ schema, required }: Field, value: unknown): FieldError | null {
  if (value === undefined) return required ? { key: 'form.required' } : null
  if (typeof value === 'string') return checkText(schema, value)
  if (typeof value === 'number') return checkNumber(schema, value)
  return null
}

function checkText({ minLength, maxLength, pattern }: JsonSchema, value: string): FieldError | null {
  const length = [...value].length
  if (minLength !== undefined && length < minLength) return { key: 'form.tooShort', values: { count: minLength } }
  if (maxLength !== undefined && length > maxLength) return { key: 'form.tooLong', values: { count: maxLength } }
  return pattern !== undefined && !matches(pattern, value) ? { key: 'form.pattern' } : null
}

/** A pattern that is no expression here may be one on the server, which then decides. */
function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value)
  } catch {
    return true
  }
}

function checkNumber({ minimum, maximum }: JsonSchema, value: number): FieldError | null {
  if (minimum !== undefined && value < minimum) return { key: 'form.tooSmall', values: { limit: minimum } }
  if (maximum !== undefined && value > maximum) return { key: 'form.tooLarge', values: { limit: maximum } }
  return null
}
