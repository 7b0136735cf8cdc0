// The original design in short: a BullMQ job runs the steps. Each change updates a row in Postgres
// and publishes a message on Redis, which a tRPC subscription streams over SSE.
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";
import { initTRPC, tracked } from "@trpc/server";
import { createHTTPServer } from "@trpc/server/adapters/standalone";
import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";

const STEPS = 8;
const redisUrl = process.env.STEPWAY_REDIS_URL;
const pool = new pg.Pool({ connectionString: process.env.STEPWAY_DATABASE_URL, max: 20 });
const publisher = new Redis(redisUrl);
const subscriber = new Redis(redisUrl);
const connection = () => new Redis(redisUrl, { maxRetriesPerRequest: null });

// CLOCK_MONOTONIC in seconds, like Python's time.monotonic().
const now = () => Number(process.hrtime.bigint()) / 1e9;
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const channel = (project) => `node:project:${project}`;

await pool.query(`CREATE TABLE IF NOT EXISTS node_steps (
  id uuid PRIMARY KEY, project_id text NOT NULL, step text NOT NULL, display_name text NOT NULL,
  sequence integer NOT NULL, status text NOT NULL, progress integer DEFAULT 0, message text,
  started_at timestamptz, completed_at timestamptz, duration integer, error text,
  error_stack text, metadata jsonb, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
  UNIQUE (project_id, step))`);

// The service

async function initializeStepsInDatabase(project) {
  const names = Array.from({ length: STEPS }, (_, n) => `step_${n}`);
  await pool.query(
    `INSERT INTO node_steps (id, project_id, step, display_name, sequence, status, created_at, updated_at)
     SELECT id, $1, step, step, n, 'pending', now(), now()
     FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS t(id, step, n)`,
    [project, names.map(() => randomUUID()), names],
  );
}

async function publish(project, step) {
  await publisher.publish(channel(project), JSON.stringify({ type: "step", step }));
}

async function updateStepStatus(project, step, status, message) {
  const { rows } = await pool.query({
    name: "update-step",
    text: `UPDATE node_steps SET status = $3, message = coalesce($4, message),
      progress = CASE WHEN $3 = 'completed' THEN 100 ELSE progress END,
      started_at = coalesce(started_at, now()), updated_at = now(),
      completed_at = CASE WHEN $3 = 'completed' THEN now() END,
      duration = CASE WHEN $3 = 'completed'
        THEN (extract(epoch FROM now() - started_at) * 1000)::integer END
      WHERE project_id = $1 AND step = $2 RETURNING *`,
    values: [project, step, status, message ?? null],
  });
  const committed = now();
  await publish(project, rows[0]);
  return committed;
}

// The worker

const runs = new Map();

async function runAll(job) {
  const { project, seconds } = job.data;
  await initializeStepsInDatabase(project);
  for (let n = 0; n < STEPS; n++) {
    await updateStepStatus(project, `step_${n}`, "running");
    await sleep(seconds);
    await updateStepStatus(project, `step_${n}`, "completed");
    await job.updateProgress(((n + 1) * 100) / STEPS);
  }
}

async function beChanged(job) {
  const { project } = job.data;
  await initializeStepsInDatabase(project);
  await updateStepStatus(project, "step_0", "running");
  await new Promise((stop) => runs.set(project, { job, stop }));
}

const worker = new Worker(
  "initialize",
  (job) => (job.name === "live" ? beChanged(job) : runAll(job)),
  { connection: connection(), concurrency: 50 },
);
const queue = new Queue("initialize", { connection: connection() });
const finished = new QueueEvents("initialize", { connection: connection() });
await Promise.all([worker.waitUntilReady(), queue.waitUntilReady(), finished.waitUntilReady()]);

// The endpoint

const listeners = new Map();
subscriber.on("message", (name, text) => {
  for (const listener of listeners.get(name) ?? []) listener(text);
});

async function* messages(project, signal) {
  const name = channel(project);
  const waiting = [];
  let wake = () => {};
  const listener = (text) => {
    waiting.push(text);
    wake();
  };
  if (!listeners.has(name)) {
    listeners.set(name, new Set());
    await subscriber.subscribe(name);
  }
  listeners.get(name).add(listener);
  signal?.addEventListener("abort", () => wake());
  try {
    while (!signal?.aborted) {
      while (waiting.length) yield JSON.parse(waiting.shift());
      await new Promise((resolve) => (wake = resolve));
    }
  } finally {
    listeners.get(name).delete(listener);
  }
}

const t = initTRPC.create({ sse: { ping: { enabled: true, intervalMs: 15_000 } } });
const router = t.router({
  onInitProgress: t.procedure
    .input((value) => value)
    .subscription(async function* ({ input, signal }) {
      let id = 0;
      yield tracked("0", { type: "snapshot" });
      for await (const event of messages(input, signal)) yield tracked(String(++id), event);
    }),
});
const server = createHTTPServer({ router });
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

// Requests of the bench

const handlers = {
  async start() {
    const project = randomUUID();
    await queue.add("live", { project });
    while (!runs.has(project)) await sleep(0.01);
    return `/onInitProgress?input=${encodeURIComponent(JSON.stringify(project))}`;
  },
  async change({ mark }) {
    const [[project, { job }]] = runs;
    const asked = now();
    const committed = await updateStepStatus(project, "step_0", "running", mark);
    await job.updateProgress({ mark });
    return [asked, committed];
  },
  async run({ projects, seconds }) {
    const began = now();
    const jobs = await queue.addBulk(
      Array.from({ length: projects }, () => ({
        name: "all",
        data: { project: randomUUID(), seconds },
      })),
    );
    await Promise.all(jobs.map((job) => job.waitUntilFinished(finished)));
    return now() - began;
  },
};

process.on("SIGTERM", () => process.exit(0));
console.log(JSON.stringify({ port: server.address().port }));
for await (const line of createInterface({ input: process.stdin })) {
  const { do: request, ...given } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ answer: await handlers[request](given) }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error?.stack ?? error) }));
  }
}
process.exit(0);
