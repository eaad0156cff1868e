import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
let base = '';
beforeAll(() => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

it('copies of one file are two files to a RUN, however their bytes are kept', async () => {
  const dockerfile = `FROM busybox AS build
RUN echo content > /made
FROM build
COPY --from=build /made /a
COPY --from=build /made /b
RUN echo one >> /a && [ "$(cat /b)" = content ] && [ "$(cat /made)" = content ]
RUN for pair in "made b" "b made" "a b"; do set -- $pair; [ "$(stat -c %i /$1)" != "$(stat -c %i /$2)" ] || exit 1; done
`;
  const context = bench.context('same', { Dockerfile: dockerfile });
  const result = await bench.run(['build', '--build-context', base, '--progress', 'plain', context]);
  expect(result, result.stderr).toMatchObject({ code: 0 });
});
