import { afterAll, beforeAll } from 'vitest';
import { everyCase } from './every-case.ts';
import { openPlace, type Place } from './place.ts';

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
afterAll(async () => await place.close());

everyCase('as BuildKit has it', { place: () => place });
