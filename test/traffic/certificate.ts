// A self-signed certificate for the servers of this folder, made once.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';

const folder = path.resolve(import.meta.dirname, '../../.cache/traffic/certificate');

export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** Paths of PEM files; valid for localhost and the loopback addresses. */
export function serverCertificate(): Certificate {
  const made: Certificate = { certificate: path.join(folder, 'certificate.pem'), key: path.join(folder, 'key.pem') };
  if (existsSync(made.certificate)) return made;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${made.certificate}.${process.pid}`;
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', made.key];
  execFileSync('openssl', ['req', '-x509', '-days', '3650', ...key, ...subject, '-out', unfinished], { stdio: 'pipe' });
  renameSync(unfinished, made.certificate);
  return made;
}
