// The plain page, served where web/ has not been built: a list, and one initialization live.

const main = document.getElementById('main')
const connection = document.getElementById('connection')
let source = null
let shown = 0

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes)
  made.append(...children.filter((child) => child !== null))
  return made
}

async function get(path) {
  const response = await fetch(path, { headers: { Accept: 'application/json' } })
  const body = await response.json()
  if (!response.ok) throw new Error(body.detail ?? `The server answered ${response.status}.`)
  return body
}

function bar(label, progress) {
  const made = element('progress', { max: 100, value: progress })
  made.setAttribute('aria-label', label)
  return made
}

function state(status, more = '') {
  return element('span', { className: `state ${status}` }, status + more)
}

function duration(step) {
  return step.duration === null || step.duration === undefined ? '' : ` · ${(step.duration / 1000).toFixed(1)} s`
}

function stepCard(step) {
  const attempt = step.attempt > 1 ? ` · attempt ${step.attempt}` : ''
  const text = step.error ?? null
  const remedy = step.metadata?.remedy ?? null
  return element(
    'div',
    { className: step.parent_step ? 'card part' : 'card' },
    element(
      'div',
      { className: 'row' },
      element('span', { className: 'name' }, step.display_name ?? step.step),
      state(step.status ?? 'pending', attempt + duration(step)),
    ),
    step.status === 'running' ? bar(step.step, step.progress) : null,
    step.message ? element('div', { className: 'quiet' }, step.message) : null,
    step.metadata?.reason ? element('div', { className: 'quiet' }, step.metadata.reason) : null,
    text ? element('pre', { className: 'error' }, text) : null,
    remedy ? element('div', { className: 'quiet' }, remedy) : null,
  )
}

function projectCard(project) {
  return element(
    'a',
    { className: 'card', href: `#/projects/${project.id}` },
    element('div', { className: 'row' }, element('span', { className: 'name' }, project.name), state(project.status)),
    element('div', { className: 'quiet' }, `${project.blueprint} · ${new Date(project.created_at).toLocaleString()}`),
    bar(project.name, project.progress),
  )
}

function showInitialization({ project, steps, progress }) {
  main.replaceChildren(
    element('h1', {}, project.name),
    element('div', { className: 'row' }, state(project.status), element('span', { className: 'quiet' }, `${progress} %`)),
    bar('Whole initialization', progress),
    project.initialization_error ? element('pre', { className: 'error' }, project.initialization_error) : '',
    ...steps.map(stepCard),
  )
}

// What an event changes: a step is merged by its name, and an unknown one inserted.
function fold(now, type, data) {
  if (type === 'snapshot') return data
  if (now === null || data.version <= now.version) return now
  if (type === 'end') return { ...now, version: data.version, project: { ...now.project, status: data.status } }
  const next = { ...now, version: data.version, progress: data.progress }
  if (type === 'project') return { ...next, project: { ...now.project, ...data.project } }
  const at = now.steps.findIndex((step) => step.step === data.step.step)
  if (at >= 0) {
    next.steps = now.steps.with(at, { ...now.steps[at], ...data.step })
    return next
  }
  const parts = now.steps.findLastIndex(
    (step) => step.step === data.step.parent_step || (step.parent_step && step.parent_step === data.step.parent_step),
  )
  next.steps = now.steps.toSpliced(parts < 0 ? now.steps.length : parts + 1, 0, data.step)
  return next
}

function follow(id) {
  let now = null
  source = new EventSource(`/api/projects/${id}/initialization/events`)
  source.onopen = () => (connection.textContent = 'live')
  source.onerror = () => {
    const over = now !== null && now.project.initialization_completed_at !== null
    connection.textContent = over ? 'ended' : source.readyState === EventSource.CLOSED ? 'not connected' : 'reconnecting…'
  }
  for (const type of ['snapshot', 'step', 'project', 'end']) {
    source.addEventListener(type, (event) => {
      now = fold(now, type, JSON.parse(event.data))
      if (now !== null) showInitialization(now)
    })
  }
}

async function route() {
  source?.close()
  source = null
  connection.textContent = ''
  const mine = ++shown
  const id = /^#\/projects\/([0-9a-f-]+)$/.exec(location.hash)?.[1]
  try {
    if (id) {
      const initialization = await get(`/api/projects/${id}/initialization`)
      if (mine !== shown) return
      showInitialization(initialization)
      follow(id)
      return
    }
    const { items } = await get('/api/projects')
    if (mine !== shown) return
    const none = element('p', { className: 'quiet' }, 'No project yet: make one with `stepway create NAME`.')
    main.replaceChildren(element('h1', {}, 'Projects'), ...(items.length ? items.map(projectCard) : [none]))
  } catch (error) {
    if (mine === shown) main.replaceChildren(element('pre', { className: 'error', role: 'alert' }, String(error.message)))
  }
}

addEventListener('hashchange', route)
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && source?.readyState === EventSource.CLOSED) route()
})
route()
