/**
 * Packs the npm package, installs it into a fresh project and compiles the snippets of docs/how-to/embed-the-component.md there.
 * Needs `npm run build` before, and the npm registry.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { build } from 'vite'

const WEB = fileURLToPath(new URL('..', import.meta.url))
const GUIDE = join(WEB, '../docs/how-to/embed-the-component.md')
const ELEMENT = '@stepway/vue/element'
const STRICT = {
  target: 'ES2022',
  module: 'ESNext',
  moduleResolution: 'bundler',
  lib: ['ES2022', 'DOM', 'DOM.Iterable'],
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noUncheckedSideEffectImports: true,
  skipLibCheck: false,
  noEmit: true,
}
/** Each of these must be refused: where it is not, the types are `any`. */
const WRONG = {
  'wrong-prop.vue': `<script setup lang="ts">
import { InitializationProgress } from '@stepway/vue'
</script>
<template><InitializationProgress :project-id="17" /></template>
`,
  'wrong-slot.vue': `<script setup lang="ts">
import { InitializationProgress } from '@stepway/vue'
</script>
<template><InitializationProgress><template #failure="{ nothing }">{{ nothing }}</template></InitializationProgress></template>
`,
  'wrong-event.vue': `<script setup lang="ts">
import { InitializationProgress } from '@stepway/vue'
</script>
<template><InitializationProgress @project="(project) => project.nothing" /></template>
`,
  'wrong-state.ts': `import { foldAll } from '@stepway/vue'
foldAll(null, []).state?.steps[0]?.nothing
`,
}
const WRONG_ELEMENT = {
  'wrong-detail.ts': `import '${ELEMENT}'
document.querySelector('stepway-progress')?.addEventListener('project', ({ detail }) => detail[0].nothing)
`,
  'wrong-property.ts': `import '${ELEMENT}'
document.createElement('stepway-progress').projectId = 17
`,
}

let folder

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'stepway-packages-'))
  const [{ filename }] = JSON.parse(npm(WEB, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder))
  const like = (name) => JSON.parse(readFileSync(join(WEB, 'node_modules', name, 'package.json'), 'utf8')).version
  const tools = Object.fromEntries(['vue', 'typescript', 'vue-tsc'].map((name) => [name, like(name)]))
  writeJson('package.json', { private: true, type: 'module', dependencies: { '@stepway/vue': `file:${filename}`, ...tools } })
  npm(folder, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error')
})

after(() => rmSync(folder, { recursive: true }))

test('the snippets for Vue compile', () => {
  const snippets = snippetsOf(GUIDE).filter(({ code }) => !code.includes(ELEMENT))
  assert.ok(snippets.some(({ name }) => name.endsWith('.vue')) && snippets.some(({ name }) => name.endsWith('.ts')))
  assert.equal(compile('vue-tsc', 'vue', snippets), '')
})

test('the snippets for the element compile without Vue', () => {
  const snippets = snippetsOf(GUIDE).filter(({ code }) => code.includes(ELEMENT))
  assert.notEqual(snippets.length, 0)
  assert.equal(compile('tsc', 'element', snippets), '')
  const read = run('tsc', 'element', '--listFilesOnly').split('\n')
  assert.deepEqual(read.filter((file) => /node_modules\/(vue|@vue)\//.test(file)), [])
})

test('what does not fit the types is refused', () => {
  for (const [tool, name, wrong] of [['vue-tsc', 'wrong', WRONG], ['tsc', 'wrong-element', WRONG_ELEMENT]]) {
    const errors = compile(tool, name, Object.entries(wrong).map(([name, code]) => ({ name, code })))
    for (const file of Object.keys(wrong)) assert.match(errors, new RegExp(`${file}\\(.*error TS`), `${file}: ${errors}`)
  }
})

test('an application can be built with it: nothing that it imports is missing', async () => {
  const [snippet] = snippetsOf(GUIDE).filter(({ name }) => name.endsWith('.vue'))
  writeFileSync(join(folder, 'App.vue'), snippet.code)
  const warnings = []
  await build({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    plugins: [vue()],
    build: {
      lib: { entry: 'App.vue', formats: ['es'], fileName: 'app' },
      rolldownOptions: { onwarn: ({ message }) => warnings.push(message) },
    },
  })
  assert.deepEqual(warnings, [])
  assert.match(readFileSync(join(folder, 'dist/app.js'), 'utf8'), /initialization\/events/)
})

test('every entry leads to files that are packed', () => {
  const { exports, main, types } = JSON.parse(readFileSync(join(WEB, 'package.json'), 'utf8'))
  for (const path of [main, types, ...Object.values(exports).flatMap(Object.values)]) {
    readFileSync(join(folder, 'node_modules/@stepway/vue', path))
  }
})

/** The code blocks of a Markdown file that are TypeScript or Vue components, each named after its line. */
function snippetsOf(file) {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/^```(ts|vue)\n(.*?)^```$/gms)].map(({ index, 1: language, 2: code }) => ({
    name: `line-${text.slice(0, index).split('\n').length}.${language}`,
    code,
  }))
}

/** What the compiler says of these files; empty where they are fine. */
function compile(tool, name, files) {
  mkdirSync(join(folder, name))
  // A module, also where a snippet imports nothing.
  for (const file of files) writeFileSync(join(folder, name, file.name), file.code)
  writeJson(`${name}/tsconfig.json`, { compilerOptions: { ...STRICT, moduleDetection: 'force' }, include: ['*.ts', '*.vue'] })
  return run(tool, name)
}

function run(tool, name, ...more) {
  const command = join(folder, 'node_modules/.bin', tool)
  const { stdout, stderr, error } = spawnSync(command, ['--project', name, ...more], { cwd: folder, encoding: 'utf8' })
  if (error) throw error
  return stdout + stderr
}

function npm(cwd, ...command) {
  return execFileSync('npm', command, { cwd, encoding: 'utf8' })
}

function writeJson(path, content) {
  writeFileSync(join(folder, path), JSON.stringify(content, null, 2))
}
