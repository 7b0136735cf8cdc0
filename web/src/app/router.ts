import { START_LOCATION, createRouter, createWebHistory } from 'vue-router'
import type { StepwayApi } from '@/api/client'
import { readAhead } from '@/initialization/sources/sources'
import InitializationView from '@/projects/InitializationView.vue'
import ProjectView from '@/projects/ProjectView.vue'
import ProjectsView from '@/projects/ProjectsView.vue'

// What people open most is there at once; a second round of loading would cost them a third of a second.

export function createPageRouter(api: StepwayApi) {
  return createRouter({
    history: createWebHistory(),
    // A page that has just been opened is at its top; to ask for it costs a layout.
    scrollBehavior: (_to, from, saved) => saved ?? (from === START_LOCATION ? false : { top: 0 }),
    routes: [
      { path: '/', name: 'projects', component: ProjectsView },
      { path: '/new', name: 'create', component: () => import('@/create/CreateView.vue') },
      {
        path: '/projects/:id',
        component: ProjectView,
        props: true,
        children: [
          {
            path: '',
            name: 'initialization',
            component: InitializationView,
            props: true,
            beforeEnter: (to) => readAhead(api, String(to.params.id)),
          },
          { path: 'history', name: 'history', component: () => import('@/history/HistoryView.vue'), props: true },
        ],
      },
      { path: '/statistics', name: 'statistics', component: () => import('@/statistics/StatisticsView.vue') },
      ...(import.meta.env.DEV
        ? [{ path: '/recording/:name', component: () => import('./RecordingView.vue'), props: true }]
        : []),
      { path: '/:path(.*)*', name: 'not-found', component: () => import('./NotFoundView.vue') },
    ],
  })
}
