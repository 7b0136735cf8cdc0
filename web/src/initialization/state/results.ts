import { STEPWAY_METADATA } from '@/api/facts'
import type { Step, StepMetadata } from '@/api/types'

const OF_STEPWAY: ReadonlySet<string> = new Set(STEPWAY_METADATA)

export interface ResultLink {
  step: Step
  url: string
  commit: string | null
}

/** What a step made, as it told: field and value. */
export function resultOf(metadata: StepMetadata | Record<string, unknown> | null): [string, unknown][] {
  return Object.entries(metadata ?? {}).filter(
    ([key, value]) => !OF_STEPWAY.has(key) && value !== null && value !== undefined && value !== '',
  )
}

/** Addresses of what was made, each once, with the newest commit known for it. */
export function linksOf(steps: readonly Step[]): ResultLink[] {
  const links = new Map<string, ResultLink>()
  for (const step of steps) {
    if (step.status !== 'completed' || step.undone_at !== null) continue
    const { url, commit, pull_request: request } = (step.metadata ?? {}) as Record<string, unknown>
    if (typeof request === 'object' && request !== null && 'url' in request && isWebAddress(request.url)) {
      links.set(request.url, { step, url: request.url, commit: null })
    }
    if (typeof url !== 'string' || url === '') continue
    const known = links.get(url)
    links.set(url, {
      step: known?.step ?? step,
      url,
      commit: typeof commit === 'string' ? commit : (known?.commit ?? null),
    })
  }
  return [...links.values()]
}

/** Only what a browser may open: an address made by a step is data, `javascript:` included. */
export function isWebAddress(value: unknown): value is string {
  return typeof value === 'string' && /^https?:\/\/\S+$/i.test(value)
}

export function isGitAddress(url: string): boolean {
  return /\.git\/?$/.test(url) || /^(git|ssh|file):\/\//.test(url) || /^git@/.test(url)
}

/** A command for the clipboard; quoted, since an address may hold what a shell would act on. */
export function cloneCommand(url: string): string {
  return /^[\w@%+=:,./~-]+$/.test(url) ? `git clone ${url}` : `git clone '${url.replaceAll("'", String.raw`'\''`)}'`
}
