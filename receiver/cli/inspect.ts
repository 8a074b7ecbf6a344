// `usm-receiver inspect`: asks a running receiver where its transactions are, and prints the answer.
import { messageOf, ReceiverError } from '../errors.ts';
import type { InspectCommand } from './inspect-arguments.ts';
import { formatInspection, type InspectionAnswer } from './inspect-text.ts';

const TIMEOUT_MS = 10_000;

/** Returns what to print; throws a ReceiverError when there is no answer. */
export async function inspect({ url, isJson }: InspectCommand, get: typeof fetch): Promise<string> {
  const failed = (happened: string, cause?: unknown): ReceiverError =>
    new ReceiverError('USM_INSPECT', { attempted: 'ask the receiver at', on: url, happened }, cause);
  let body: string;
  try {
    const response = await get(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    body = await response.text();
    if (!response.ok) throw failed(`it answered ${response.status}: ${body.split('\n', 1)[0] ?? ''}`);
  } catch (error) {
    if (error instanceof ReceiverError) throw error;
    // fetch hides what happened in the cause.
    throw failed(messageOf((error as { readonly cause?: unknown }).cause ?? error), error);
  }
  if (isJson) return body;
  let answer: Partial<InspectionAnswer> | null;
  try {
    answer = JSON.parse(body) as Partial<InspectionAnswer> | null;
  } catch (error) {
    throw failed('its answer is not JSON', error);
  }
  if (answer?.receiver === undefined) throw failed('its answer is not that of usm-receiver');
  return formatInspection({ ...answer, receiver: answer.receiver });
}
