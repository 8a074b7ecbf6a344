// For tests that attach BPF programs: whether this machine lets them. A skip is loud: scripts/test.sh looks for its marker and fails
// where the kernel could have run the test. Files that import this one run one at a time.
import { existsSync } from 'node:fs';
import { capabilities } from '../../native/index.ts';
import { isOlder, oldestRelease } from '../../receiver/kernel/release.ts';

/** Options for test() or describe(): `test('…', kernelTest(), …)`. */
export function kernelTest(): { skip: string | false } {
  const reason = missingSupport();
  if (reason === undefined) return { skip: false };
  const text = `KERNEL TEST SKIPPED: ${reason}`;
  console.error(text);
  return { skip: text };
}

function missingSupport(): string | undefined {
  const btf = '/sys/kernel/btf/vmlinux';
  if (!existsSync(btf)) return `the kernel has no BTF (${btf})`;
  const { effective, kernelRelease } = capabilities();
  if (!effective.has('CAP_SYS_ADMIN') && !(effective.has('CAP_BPF') && effective.has('CAP_PERFMON'))) {
    return 'loading BPF programs needs root or CAP_BPF and CAP_PERFMON';
  }
  if (isOlder(kernelRelease, oldestRelease)) return `Linux ${kernelRelease} is older than ${oldestRelease}`;
  return undefined;
}
