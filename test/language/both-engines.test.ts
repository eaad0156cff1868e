/** The same cases on a BuildKit: what `expected/` has of its front end must come of our graph, too. */
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { dockerdLacks, startDockerd, type Dockerd } from '../support/dockerd.ts';
import { everyCase } from './every-case.ts';
import { openPlace, type Place } from './place.ts';

const lacks = dockerdLacks();
let place: Place;
let dockerd: Dockerd;
beforeAll(async () => {
  if (lacks !== undefined) return;
  place = await openPlace();
  dockerd = await startDockerd(join(place.bench.dir, 'dockerd'));
});
afterAll(async () => {
  if (lacks !== undefined) return;
  await dockerd.stop();
  await place.close();
});

everyCase('on BuildKit as here', {
  place: () => place,
  words: ['--builder=docker://'],
  env: () => ({ DOCKER_HOST: dockerd.host }),
  lacks,
});
