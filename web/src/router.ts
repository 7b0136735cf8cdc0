import { createRouter, createWebHistory } from 'vue-router'
import InitializationView from './views/InitializationView.vue'
import ProjectView from './views/ProjectView.vue'
import ProjectsView from './views/ProjectsView.vue'

// What people open most is there at once; a second round of loading would cost them a third of a second.

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/', name: 'projects', component: ProjectsView },
    { path: '/new', name: 'create', component: () => import('./views/CreateView.vue') },
    {
      path: '/projects/:id',
      component: ProjectView,
      props: true,
      children: [
        { path: '', name: 'initialization', component: InitializationView, props: true },
        { path: 'history', name: 'history', component: () => import('./views/HistoryView.vue'), props: true },
      ],
    },
    { path: '/statistics', name: 'statistics', component: () => import('./views/StatisticsView.vue') },
    ...(import.meta.env.DEV
      ? [{ path: '/recording/:name', component: () => import('./views/RecordingView.vue'), props: true }]
      : []),
    { path: '/:path(.*)*', name: 'not-found', component: () => import('./views/NotFoundView.vue') },
  ],
})
