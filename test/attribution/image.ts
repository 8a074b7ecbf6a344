// A process image to be varied.
import type { ProcessImage } from '../../receiver/model/process.ts';

export function imageOf(
  variation: Partial<Omit<ProcessImage, 'environment'>> & { environment?: Readonly<Record<string, string>> } = {},
): ProcessImage {
  const { environment = {}, ...rest } = variation;
  return {
    pid: 4242,
    startTime: 1_000_000,
    comm: 'shop',
    executablePath: '/usr/bin/shop',
    cgroupPath: '',
    args: ['/usr/bin/shop'],
    ...rest,
    environment: new Map(Object.entries(environment)),
  };
}
