import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { parse } from 'vue/compiler-sfc'

/** A room may import from itself and from rooms of later lines, never from another room of its own line. */
const LAYERS = [
  ['app'],
  ['projects', 'create', 'history', 'statistics', 'session'],
  ['initialization'],
  ['form'],
  ['ui'],
  ['text'],
  ['api'],
]
const ANYWHERE = ['styles']
/** Only tests import from these. */
const FOR_TESTS = ['testing', 'fixtures']
const MOST_FILES = 25

const SRC = import.meta.dirname

interface Import {
  file: string
  specifier: string
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8')
  return (file.endsWith('.vue') ? scriptsOf(text) : [text])
    .flatMap((script) => ts.preProcessFile(script).importedFiles)
    .map(({ fileName }) => ({ file, specifier: fileName }))
}

function scriptsOf(component: string): string[] {
  const { descriptor } = parse(component)
  return [descriptor.script, descriptor.scriptSetup].flatMap((block) => (block ? [block.content] : []))
}

/** The path below src/ that an import leads to; null for a package. */
function target({ file, specifier }: Import): string | null {
  if (specifier.startsWith('@/')) return specifier.slice(2)
  return specifier.startsWith('.') ? join(dirname(file), specifier) : null
}

const roomOf = (path: string) => path.split('/')[0] ?? ''
const layerOf = (room: string) => LAYERS.findIndex((rooms) => rooms.includes(room))

/** Why an import is not allowed, or null. */
function problem(imported: Import): string | null {
  const path = target(imported)
  if (path === null) return null
  const [from, to] = [roomOf(imported.file), roomOf(path)]
  if (from === to || ANYWHERE.includes(to)) return null
  if (FOR_TESTS.includes(from) || imported.file.endsWith('.spec.ts')) return null
  if (layerOf(to) === -1 || layerOf(from) >= layerOf(to)) {
    return `${imported.file} imports ${imported.specifier}: ${from}/ may not import from ${to}/`
  }
  return null
}

const everything = readdirSync(SRC, { recursive: true, withFileTypes: true })
const files = everything
  .filter((entry) => entry.isFile())
  .map((entry) => relative(SRC, join(entry.parentPath, entry.name)))
const sources = files.filter((file) => /\.(ts|vue)$/.test(file) && !file.endsWith('.d.ts') && file.includes('/'))

describe('The rooms of src/', () => {
  test('every folder is a room', () => {
    const known = [...LAYERS.flat(), ...ANYWHERE, ...FOR_TESTS]
    const found = everything.filter((entry) => entry.isDirectory() && entry.parentPath === SRC)
    expect(found.map(({ name }) => name).sort()).toEqual(known.sort())
  })

  test('imports point one way: app, screens, initialization, form, ui, text, api', () => {
    const imports = sources.flatMap(importsOf)
    expect(imports.length).toBeGreaterThan(200)
    expect(imports.map(problem).filter((found) => found !== null)).toEqual([])
  })

  test.each([
    ['ui/BaseDialog.vue', '@/initialization/state/steps'],
    ['create/CreateView.vue', '@/history/HistoryList.vue'],
    ['initialization/steps/StepRow.vue', '../../projects/ProjectRow.vue'],
    ['api/client.ts', '@/text/text'],
    ['api/client.ts', '@/testing/examples'],
  ])('%s may not import %s', (file, specifier) => {
    expect(problem({ file, specifier })).toContain('may not import from')
  })

  test('an import() counts', () => {
    expect(importsOf('initialization/ProgressPanel.vue')).toContainEqual({
      file: 'initialization/ProgressPanel.vue',
      specifier: './controls/QuestionDialog.vue',
    })
  })

  test(`no folder has more than ${MOST_FILES} files`, () => {
    const inside = (folder: string) => files.filter((file) => dirname(file) === folder)
    const full = [...new Set(files.map(dirname))].filter((folder) => inside(folder).length > MOST_FILES)
    expect(full).toEqual([])
  })
})
