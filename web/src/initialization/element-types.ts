/** The custom element as TypeScript sees it: nothing here needs Vue, so that any page can compile against it. */
import type { Failure } from '@/api/errors'
import type { Project } from '@/api/types'
import type { InitializationSource } from './sources/source'

export type { Failure, InitializationSource, Project }

/** `detail` holds the project and the progress of the whole, 0 to 100. */
export type ProjectChangeEvent = CustomEvent<[project: Project, progress: number]>

/** `detail` holds why there is nothing to show. */
export type FailureEvent = CustomEvent<[failure: Failure]>

export interface StepwayProgressEventMap extends HTMLElementEventMap {
  /** each change of the project or of its progress */
  project: ProjectChangeEvent
  /** there is nothing to show */
  failure: FailureEvent
}

type Listener<Type extends keyof StepwayProgressEventMap> = (
  this: StepwayProgressElement,
  event: StepwayProgressEventMap[Type],
) => unknown

/** `<stepway-progress>`. Each property is an attribute too, `source` aside. */
export interface StepwayProgressElement extends HTMLElement {
  /** `project-id` */
  projectId?: string
  /** `api-url`: where the API is; without it, the page's own origin */
  apiUrl?: string
  /** the colours; without it, `auto`: those of the system */
  theme?: 'light' | 'dark' | 'auto'
  /** `off` leaves out the logs of the steps */
  logs?: 'on' | 'off'
  /** shown in place of a project of the API, such as a recording */
  source?: InitializationSource

  addEventListener<Type extends keyof StepwayProgressEventMap>(
    type: Type,
    listener: Listener<Type>,
    options?: boolean | AddEventListenerOptions,
  ): void
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void
  removeEventListener<Type extends keyof StepwayProgressEventMap>(
    type: Type,
    listener: Listener<Type>,
    options?: boolean | EventListenerOptions,
  ): void
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | EventListenerOptions,
  ): void
}

export interface StepwayProgressConstructor {
  new (): StepwayProgressElement
  readonly prototype: StepwayProgressElement
}

declare global {
  interface HTMLElementTagNameMap {
    'stepway-progress': StepwayProgressElement
  }
}
