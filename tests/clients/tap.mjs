// What the tests of clients for Node share. node.py gives BASE_URL, KEY, MODEL, and UPSTREAM and ENGINE when it is not our own.
export const { BASE_URL: url, KEY: key, MODEL: model, UPSTREAM: upstream, ENGINE: engine } = process.env;
let count = 0, failed = 0;

// What not every engine does is refused by name, and then there is nothing to test.
const refused = (e) => `${e.message} ${e.responseBody ?? ''}`.match(/[\w ,'-]*not supported by this model's engine/)?.[0];

export async function check(name, fn) {
  count++;
  try {
    const skip = await fn();
    console.log(`ok ${count} - ${name}${skip ? ` # SKIP ${skip}` : ''}`);
  } catch (e) {
    const why = refused(e);
    failed += !why;
    console.log(why ? `ok ${count} - ${name} # SKIP ${why}` : `not ok ${count} - ${name}`);
    if (!why) for (const line of `${e.stack}\n${e.responseBody ?? ''}`.split('\n').slice(0, 12)) console.log('#', line);
  }
}

// A check of what our engine promises and others do not.
export const promise = (name, fn) => check(name, upstream ? () => 'a promise of our own engine' : fn);

export function end() {
  console.log(`1..${count}`);
  process.exit(failed ? 1 : 0);
}
