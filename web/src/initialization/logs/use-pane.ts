import { refDebounced } from '@vueuse/core'
import { computed, inject, onScopeDispose, provide, reactive, ref, shallowRef, triggerRef, watch, type InjectionKey } from 'vue'
import type { LogOf } from './store/line'
import { useLog } from './use-log'
import type { Logs } from './logs'
import { ALL, RowMap, type Filter } from './store/row-map'
import { KIND } from './store/log-store'
import { LogSearch, toRegExp, type Query } from './store/search'

export interface Lines {
  from: number
  to: number
}

/** How logs are shown, the same for all that are open. */
export const preferences = reactive<{ wrap: boolean; times: 'off' | 'relative' | 'local' }>({
  wrap: true,
  times: 'off',
})

const TYPING_MS = 150
const SHOW_HITS_EACH_MS = 100

/** One log on the screen: its lines, which of them are shown, what is searched for and what is chosen. */
export function createPane(logs: Logs, step: string, of: LogOf, linked: Lines | null) {
  const log = useLog(logs, step, of, linked !== null)
  const { store } = log
  const rows = new RowMap(store)
  const filter = shallowRef<Filter>({ ...ALL })
  const collapsed = shallowRef<ReadonlySet<number>>(new Set())
  const columns = shallowRef<number | null>(null)
  /** grows when other rows are to be drawn */
  const drawn = shallowRef(0)
  const selected = shallowRef<Lines | null>(linked)
  /** the line that the address names, where the log has ended without it */
  const absent = shallowRef<number | null>(null)
  const following = ref(linked === null)
  /** the last line when the reader left the end; null: no line had come, so that none of those that come is new */
  const releasedAt = shallowRef<number | null>(null)
  /** the line to be brought into view, by its number; an object, so that the same line can be asked for twice */
  const wanted = shallowRef<{ seq: number } | null>(linked && { seq: linked.from })

  function redraw(): void {
    drawn.value += 1
  }

  watch([filter, collapsed, columns], () => {
    rows.reset({ filter: filter.value, collapsed: collapsed.value, columns: columns.value })
    redraw()
  })
  watch(log.tick, () => {
    rows.extend()
    if (selected.value === linked) checkLinked()
    redraw()
    if (search.value) void search.value.run()
  })

  /** Selects no lines that the log does not have, once it has ended. */
  function checkLinked(): void {
    const isEmpty = log.state.value === 'failed' || store.length === 0
    if (!linked || (log.state.value !== 'ended' && log.state.value !== 'failed')) return
    const [from, to] = [Math.max(1, linked.from), Math.min(linked.to, store.lastSeq)]
    if (!isEmpty && from <= to) {
      selected.value = { from, to }
      return
    }
    if (!isEmpty) absent.value = linked.from
    selected.value = null
    wanted.value = null
  }

  /** The selected lines that are there: more may still come. */
  const chosen = computed(() => {
    void log.tick.value
    const lines = selected.value
    return lines && lines.from <= store.lastSeq ? { from: lines.from, to: Math.min(lines.to, store.lastSeq) } : null
  })

  const newLines = computed(() => {
    void log.tick.value
    return following.value || releasedAt.value === null ? 0 : Math.max(0, store.lastSeq - releasedAt.value)
  })
  watch(following, (now) => {
    if (!now) releasedAt.value = store.lastSeq || null
  })

  const query = reactive<Query>({ text: '', isRegex: false, isCaseSensitive: false })
  const isBadQuery = shallowRef(false)
  const search = shallowRef<LogSearch | null>(null)
  /** the line of the hit that is shown, by its number */
  const hit = shallowRef<number | null>(null)
  const typed = refDebounced(
    computed(() => ({ ...query })),
    TYPING_MS,
  )
  /** where a new search begins: the first line in view */
  let viewFrom = 0

  watch([typed, filter], () => {
    search.value?.stop()
    search.value = null
    hit.value = null
    isBadQuery.value = false
    try {
      const pattern = toRegExp(typed.value)
      if (pattern) begin(pattern)
    } catch {
      isBadQuery.value = true
    }
    redraw()
  })

  function begin(pattern: RegExp): void {
    const found: LogSearch = new LogSearch(store, pattern, (mark) => rows.passes(mark), () => {
      if (hit.value === null && found.count > 0) showHit(found.from(store.indexOf(viewFrom)))
      else triggerRef(search)
      redraw()
    }, SHOW_HITS_EACH_MS)
    search.value = found
    void log.loadEarlier()
    void found.run()
  }

  const hitNumber = computed(() => {
    void drawn.value
    const at = hit.value
    return search.value === null || at === null ? 0 : search.value.from(store.indexOf(at)) + 1
  })

  function showHit(number: number): void {
    const found = search.value
    if (!found || found.count === 0) return
    const index = found.index((number + found.count) % found.count)
    hit.value = store.seq(index)
    show(hit.value)
  }

  /** The next hit, or with -1 the one before. */
  function stepHit(way: 1 | -1): void {
    const found = search.value
    if (!found) return
    if (hit.value === null) showHit(0)
    else showHit(found.from(store.indexOf(hit.value)) + way)
  }

  /** Brings a line into view, and opens the groups that hide it. */
  function show(seq: number): void {
    const around = rows.closedAround(store.indexOf(seq))
    if (around.length) collapsed.value = new Set([...collapsed.value].filter((one) => !around.includes(one)))
    following.value = false
    wanted.value = { seq }
    redraw()
  }

  function select(lines: Lines | null): void {
    selected.value = lines
    absent.value = null
    redraw()
  }

  function toggleGroup(seq: number): void {
    const next = new Set(collapsed.value)
    if (!next.delete(seq)) next.add(seq)
    collapsed.value = next
    following.value = false
  }

  function collapseAll(): void {
    const groups = new Set<number>()
    store.each(0, (index, mark) => mark >> 4 === KIND.group && groups.add(store.seq(index)))
    collapsed.value = groups
  }

  onScopeDispose(() => search.value?.stop())

  return {
    of,
    log,
    store,
    rows,
    filter,
    collapsed,
    columns,
    drawn,
    selected,
    chosen,
    absent,
    following,
    newLines,
    wanted,
    query,
    isBadQuery,
    search,
    hit,
    hitNumber,
    redraw,
    stepHit,
    show,
    select,
    toggleGroup,
    collapseAll,
    expandAll: () => (collapsed.value = new Set()),
    sees: (seq: number) => (viewFrom = seq),
  }
}

export type Pane = ReturnType<typeof createPane>

const PANE: InjectionKey<Pane> = Symbol('stepway log')

export function providePane(pane: Pane): Pane {
  provide(PANE, pane)
  return pane
}

/** The log that the component is part of. */
export function usePane(): Pane {
  const pane = inject(PANE)
  if (!pane) throw new Error('A part of a log is shown outside of one')
  return pane
}
