import { defineCustomElement } from 'vue'
import InitializationProgress from './InitializationProgress.vue'
import styles from '@/styles/element.css?inline'
import { forShadowRoot } from '@/styles/shadow'

/** `<stepway-progress project-id="…" api-url="…" lang="en">` for any page; fires `project` at each change. */
const StepwayProgress = defineCustomElement(InitializationProgress, { styles: [forShadowRoot(styles)] })

if (!customElements.get('stepway-progress')) customElements.define('stepway-progress', StepwayProgress)

export { StepwayProgress }
