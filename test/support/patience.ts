// How much longer than usual everything may take: for machines that are known to be slow, such as emulated ones (test/kernels).
export const patience = Number(process.env['USM_TEST_PATIENCE'] ?? 1);
