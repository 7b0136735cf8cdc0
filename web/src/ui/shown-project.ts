import type { InjectionKey, ShallowRef } from 'vue'
import type { Project } from '@/api/types'

export interface ShownProject {
  project: Project
  /** 0 to 100 */
  progress: number
}

/** The project that a page is about, told by the part of it that loads it. */
export const SHOWN_PROJECT: InjectionKey<ShallowRef<ShownProject | null>> = Symbol('shown project')
