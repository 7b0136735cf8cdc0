import { toApiError } from '@/api/errors'
import { visibleText } from './ansi/ansi'
import { KIND, type LogStore } from './store/log-store'
import { Slices } from './store/slices'
import type { Lines } from './use-pane'

/** The text of lines, or of all, without colours. A gap is a line of its own. */
export async function textOf(store: LogStore, lines: Lines | null, gapText: (index: number) => string): Promise<string> {
  const slices = new Slices()
  const parts: string[] = []
  const from = lines ? store.indexOf(lines.from) : 0
  const end = lines ? store.indexOf(lines.to + 1) : store.length
  for (let index = from; index < end; index++) {
    if (index % 256 === 0) await slices.pause()
    parts.push(store.kind(index) === KIND.gap ? gapText(index) : visibleText(store.text(index)))
  }
  return parts.length ? `${parts.join('\n')}\n` : ''
}

/** Saves the whole log as a text file. Throws ApiError where the server refuses. */
export async function download(url: string, name: string): Promise<void> {
  const response = await fetch(url, { headers: { Accept: 'text/plain' } })
  if (!response.ok) throw toApiError(response, await response.json().catch(() => null))
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await response.blob())
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
