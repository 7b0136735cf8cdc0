import { inject, shallowRef, type InjectionKey, type ShallowRef } from 'vue'
import type { Project } from '@/api/types'

export interface ShownProject {
  project: Project
  /** 0 to 100 */
  progress: number
}

/** The project that a page is about, set by the part of it that loads it: null until then, 'absent' without one. */
export const SHOWN_PROJECT: InjectionKey<ShallowRef<ShownProject | 'absent' | null>> = Symbol('shown project')

export function useShownProject(): ShallowRef<ShownProject | 'absent' | null> {
  return inject(SHOWN_PROJECT, () => shallowRef(null), true)
}
