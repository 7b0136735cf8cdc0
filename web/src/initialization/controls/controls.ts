import { computed, inject, provide, shallowRef, type ComputedRef, type InjectionKey, type Ref, type ShallowRef } from 'vue'
import type { StepwayApi } from '@/api/client'
import type { Attempt, Blueprint, CancelPreview, Offered, RetryPreview, Step } from '@/api/types'

/** What a person is being asked to confirm. */
export type Question =
  | { kind: 'retry'; step: Step }
  | { kind: 'retryAll' }
  | { kind: 'skip'; step: Step }
  | { kind: 'cancel' }

/** What a person may do with one initialization. Each is refused by the API with a sentence that says why. */
export interface Controls {
  question: Readonly<ShallowRef<Question | null>>
  /** what the API offers now: nothing else is shown */
  offered: Readonly<Ref<Offered>>
  ask(question: Question | null): void
  /** one page, without the first `after` */
  attempts(step: string, after: number): Promise<Attempt[]>
  previewRetry(step: string): Promise<RetryPreview>
  previewRetryOfAll(): Promise<RetryPreview>
  previewCancel(): Promise<CancelPreview>
  blueprint(name: string): Promise<Blueprint>
  retryStep(step: string, parameters?: Record<string, unknown>): Promise<void>
  retryAll(): Promise<void>
  skip(step: string, reason: string): Promise<void>
  cancel(undo: boolean): Promise<void>
}

const CONTROLS: InjectionKey<ComputedRef<Controls | null>> = Symbol('stepway controls')

/** Absent where only a recording is shown, or what cannot be changed any more. */
export function useControls(): ComputedRef<Controls | null> {
  return inject(CONTROLS, () => computed(() => null), true)
}

export function provideControls(controls: ComputedRef<Controls | null>): void {
  provide(CONTROLS, controls)
}

/** `changed` is called after each control, since it may open a stream again that had ended. */
export function createControls(
  api: StepwayApi,
  projectId: string,
  offered: Readonly<Ref<Offered>>,
  changed: () => void,
): Controls {
  const question = shallowRef<Question | null>(null)
  const done = async (call: Promise<unknown>): Promise<void> => {
    await call
    changed()
  }
  return {
    question,
    offered,
    ask: (asked) => (question.value = asked),
    attempts: (step, after) => api.attempts(projectId, step, after),
    previewRetry: (step) => api.previewRetry(projectId, step),
    previewRetryOfAll: () => api.previewRetryOfAll(projectId),
    previewCancel: () => api.previewCancel(projectId),
    blueprint: (name) => api.blueprint(name),
    retryStep: (step, parameters) => done(api.retryStep(projectId, step, parameters)),
    retryAll: () => done(api.retryAll(projectId)),
    skip: (step, reason) => done(api.skipStep(projectId, step, reason)),
    cancel: (undo) => done(api.cancel(projectId, undo)),
  }
}
