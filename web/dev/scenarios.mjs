/**
 * Makes the recorded streams in src/fixtures: node dev/scenarios.mjs
 * A real one is recorded with dev/record.mjs; these show what is hard to meet with by chance.
 */
import { mkdirSync, writeFileSync } from 'node:fs'

const START = Date.parse('2026-03-02T09:00:00Z')
const FOLDER = new URL('../src/fixtures/', import.meta.url)
const PROJECT = '0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10'

const STEPS = [
  ['connect', 'Connect to the forge', '连接代码平台', 1],
  ['repository', 'Create repository', '创建仓库', 2],
  ['template', 'Push template', '推送模板', 4],
  ['environments', 'Create environments', '创建环境', 2],
  ['records', 'Create database records', '创建数据库记录', 1],
  ['deployment', 'Set up deployment', '配置部署', 3],
  ['verify', 'Verify everything', '验证结果', 1],
]

class Scenario {
  constructor(name) {
    this.name = name
    this.lines = []
    this.at = 0
    this.version = 1
    this.progress = 0
    this.project = {
      id: PROJECT,
      name: 'payments',
      owner: 'local',
      blueprint: 'web-service',
      parameters: { description: 'Takes payments', port: 8080, deploy: true },
      status: 'initializing',
      progress: 0,
      workflow_id: `initialize-${PROJECT}`,
      run_id: '0198a3f2-70aa-7bbb-8ccc-0123456789ab',
      version: 1,
      initialization_started_at: this.iso(),
      initialization_completed_at: null,
      initialization_error: null,
      created_at: this.iso(),
      updated_at: this.iso(),
    }
    this.steps = new Map(STEPS.map((step, index) => [step[0], this.row(step, index + 1)]))
    this.write('snapshot', {
      project: this.project,
      steps: [...this.steps.values()].map((step) => ({ ...step })),
      progress: 0,
      version: 1,
    })
  }

  row([step, en, zh, weight], sequence, parent_step = null) {
    return {
      id: `0198a3f2-7000-7000-8000-${String(sequence).padStart(12, '0')}`,
      project_id: PROJECT,
      step,
      display_name: en,
      sequence,
      status: 'pending',
      progress: 0,
      started_at: null,
      completed_at: null,
      duration: null,
      error: null,
      error_stack: null,
      metadata: { display_names: { en, zh } },
      created_at: this.iso(),
      updated_at: this.iso(),
      parent_step,
      message: null,
      attempt: 1,
      round: 1,
      weight,
      optional: step === 'deployment',
      undone_at: null,
    }
  }

  iso(at = this.at) {
    return new Date(START + at).toISOString().replace('Z', '+00:00')
  }

  write(type, data) {
    this.lines.push(JSON.stringify({ at: this.at, type, data }))
  }

  wait(ms) {
    this.at += ms
    return this
  }

  change(name, fields, whole = true) {
    const step = this.steps.get(name)
    const metadata = { ...step.metadata, ...fields.metadata }
    Object.assign(step, fields, { metadata, updated_at: this.iso() })
    this.version += 1
    const all = [...this.steps.values()]
    const total = all.reduce((sum, one) => sum + one.weight, 0)
    const made = all.reduce((sum, one) => sum + (one.weight * (one.status === 'skipped' ? 100 : one.progress)) / 100, 0)
    this.progress = Math.max(this.progress, Math.floor((100 * made) / total))
    const sent = whole ? { ...step } : { step: name, ...fields }
    this.write('step', { version: this.version, progress: this.progress, step: sent })
    return this
  }

  start(name, fields = {}) {
    return this.change(name, { status: 'running', progress: 0, started_at: this.iso(), ...fields })
  }

  report(name, progress, message) {
    return this.change(name, { progress, message }, false)
  }

  finish(name, fields = {}) {
    const { started_at } = this.steps.get(name)
    const duration = this.at - (Date.parse(started_at) - START)
    const done = { status: 'completed', progress: 100, message: null, completed_at: this.iso(), duration }
    return this.change(name, { ...done, ...fields })
  }

  part(parent, name, en, zh) {
    const step = this.row([`${parent}.${name}`, en, zh, 0], this.steps.get(parent).sequence, parent)
    this.steps.set(step.step, step)
    return this.start(step.step)
  }

  become(fields) {
    this.version += 1
    Object.assign(this.project, fields, { progress: this.progress, version: this.version, updated_at: this.iso() })
    this.write('project', { version: this.version, progress: this.progress, project: { ...this.project } })
    return this
  }

  end(status) {
    if (status === 'active') this.progress = 100
    this.become({ status, initialization_completed_at: this.iso() })
    this.version += 1
    this.write('end', { version: this.version, status })
    return this
  }

  save() {
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(new URL(`${this.name}.ndjson`, FOLDER), `${this.lines.join('\n')}\n`)
  }
}

function untilTemplate(scenario) {
  scenario.wait(300).start('connect').wait(500).finish('connect')
  scenario.wait(40).start('repository').start('environments')
  scenario.wait(400).report('environments', 40, 'development').wait(500)
  scenario.finish('repository', { metadata: { url: 'https://git.example.com/acme/payments.git', default_branch: 'main' } })
  scenario.start('template', { message: 'Preparing' }).part('template', 'render', 'Render files', '渲染文件')
  return scenario.wait(300).report('template', 20, 'Rendering 42 files')
}

function untilDeployment(scenario) {
  untilTemplate(scenario).wait(500).finish('template.render').part('template', 'push', 'Push commit', '推送提交')
  scenario.wait(200).report('template', 60, 'Pushing').wait(300).report('environments', 80, 'production').wait(200)
  scenario.finish('environments', { metadata: { names: ['development', 'staging', 'production'] } })
  scenario.wait(400).finish('template.push')
  const commit = '3f1c9a7be2d04c5f8a61b7d9e0f2c4a6b8d0e1f3'
  scenario.finish('template', { metadata: { url: 'https://git.example.com/acme/payments.git', commit, files: 42 } })
  return scenario.wait(30).start('records').start('deployment').wait(300).finish('records', { metadata: { rows: 4 } })
}

const LATE = { error: 'The deployment service did not answer within 10 s.', next: 4000 }
const STACK = [
  'Traceback (most recent call last):',
  '  File "activities/deployment.py", line 88, in set_up',
  '    await self._client.apply(manifests)',
  'deployment.Refused: namespace "payments" belongs to another project',
].join('\n')

function failDeployment(scenario, error) {
  const remedy = 'Choose another namespace in the parameters, or ask the owner of “payments” to release it.'
  const { started_at } = scenario.steps.get('deployment')
  const duration = scenario.at - (Date.parse(started_at) - START)
  scenario.change('deployment', {
    status: 'failed',
    completed_at: scenario.iso(),
    duration,
    error,
    error_stack: STACK,
    message: null,
    metadata: { remedy, next_attempt_at: null },
  })
  return scenario.become({ status: 'failed', initialization_error: error.slice(0, 200) })
}

function retryDeployment(scenario) {
  scenario.wait(300).report('deployment', 30, 'Writing manifests').wait(500)
  scenario.change('deployment', {
    error: LATE.error,
    metadata: { next_attempt_at: scenario.iso(scenario.at + LATE.next), last_error: LATE.error },
  })
  return scenario
}

const success = untilDeployment(new Scenario('success'))
success.wait(300).report('deployment', 50, 'Waiting for the controller').wait(600)
success.finish('deployment', { metadata: { url: 'https://deploy.example.com/apps/payments' } })
success.wait(20).start('verify').wait(250).finish('verify').wait(10).end('active').save()

retryDeployment(untilDeployment(new Scenario('waiting-for-next-attempt'))).save()

const failure = retryDeployment(untilDeployment(new Scenario('failure'))).wait(LATE.next)
failure.start('deployment', { attempt: 2, started_at: failure.steps.get('deployment').started_at, metadata: { next_attempt_at: null } })
failDeployment(failure.wait(700), 'Namespace "payments" belongs to another project.').save()

const skipped = failDeployment(untilDeployment(new Scenario('skipped')).wait(500), 'No cluster is connected.')
skipped.wait(2000).become({ status: 'initializing', initialization_error: null })
skipped.change('deployment', { status: 'skipped', progress: 0, metadata: { reason: 'We deploy by hand until the cluster is there.' } })
skipped.start('verify').wait(250).finish('verify').wait(10).end('active').save()

const cancelled = untilTemplate(new Scenario('cancelled'))
cancelled.wait(400)
for (const name of ['template.render', 'template', 'environments']) {
  const fields = { status: 'skipped', completed_at: cancelled.iso(), message: null, metadata: { reason: 'Cancelled by ada' } }
  cancelled.change(name, fields)
}
for (const name of ['records', 'deployment', 'verify']) {
  cancelled.change(name, { status: 'skipped', metadata: { reason: 'Cancelled by ada' } })
}
cancelled.change('repository', { metadata: { undo: { status: 'running' } } }).wait(600)
cancelled.change('repository', { undone_at: cancelled.iso(), metadata: { undo: { status: 'completed' } } })
cancelled.change('connect', { metadata: { undo: { status: 'failed', error: 'The token was changed by somebody else.' } } })
cancelled.end('cancelled').save()
