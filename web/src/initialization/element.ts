import { defineCustomElement } from 'vue'
import styles from '@/styles/element.css?inline'
import { forShadowRoot } from '@/styles/shadow'
// Imported here too, so that the questions are part of the one file.
import './controls/QuestionDialog.vue'
import InitializationProgress from './InitializationProgress.vue'
import type { StepwayProgressConstructor } from './element-types'

export type * from './element-types'

/** `<stepway-progress project-id="…" api-url="…" lang="en">` for any page; fires `project` at each change. */
export const StepwayProgress = defineCustomElement(InitializationProgress, {
  styles: [forShadowRoot(styles)],
}) as unknown as StepwayProgressConstructor

if (!customElements.get('stepway-progress')) {
  customElements.define('stepway-progress', StepwayProgress as unknown as CustomElementConstructor)
}
