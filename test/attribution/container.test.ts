import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerOf } from '../../receiver/attribution/container.ts';

const id = '3d0f5c1b8a9e4f7c6d2b1a0e9f8d7c6b5a4e3f2d1c0b9a8f7e6d5c4b3a2f1e0d';
const outer = '0'.repeat(63) + '1';
const uid = '7f0f2a3c-1f5b-4c6e-9a55-0d3c4b2a1f00';
const slice = uid.replaceAll('-', '_');
const staticUid = '0b1c2d3e4f5061728394a5b6c7d8e9f0';
const kubepods = '/kubepods.slice/kubepods-burstable.slice';

const rows: readonly [title: string, path: string, id: string | undefined, podUid: string | undefined][] = [
  ['the root', '', undefined, undefined],
  ['a systemd service', '/system.slice/nginx.service', undefined, undefined],
  ['a user session', '/user.slice/user-1000.slice/session-3.scope', undefined, undefined],
  ['Docker, systemd driver', `/system.slice/docker-${id}.scope`, id, undefined],
  ['Docker, cgroupfs driver', `/docker/${id}`, id, undefined],
  ['Docker, a group inside the container', `/docker/${id}/init.scope`, id, undefined],
  ['Docker, rootless', `/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${id}.scope`, id, undefined],
  ['Docker in Docker: the inner one', `/docker/${outer}/docker/${id}`, id, undefined],
  ['Podman', `/machine.slice/libpod-${id}.scope/container`, id, undefined],
  ['Podman, rootless', `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`, id, undefined],
  ['Podman, in a pod', `/machine.slice/machine-libpod_pod_${outer}.slice/libpod-${id}.scope`, id, undefined],
  ["Podman's monitor", `/machine.slice/libpod-conmon-${id}.scope`, undefined, undefined],
  ['nerdctl', `/system.slice/nerdctl-${id}.scope`, id, undefined],
  ['containerd, cgroupfs driver', `/default/${id}`, id, undefined],
  ['ECS', `/ecs/0123456789abcdef0123456789abcdef/${id}`, id, undefined],
  ['Kubernetes, containerd', `${kubepods}/kubepods-burstable-pod${slice}.slice/cri-containerd-${id}.scope`, id, uid],
  ['Kubernetes, CRI-O', `${kubepods}/kubepods-burstable-pod${slice}.slice/crio-${id}.scope`, id, uid],
  ["Kubernetes, CRI-O's monitor", `${kubepods}/kubepods-burstable-pod${slice}.slice/crio-conmon-${id}.scope`, undefined, uid],
  ['Kubernetes, Docker', `${kubepods}/kubepods-burstable-pod${slice}.slice/docker-${id}.scope`, id, uid],
  ['Kubernetes, guaranteed', `/kubepods.slice/kubepods-pod${slice}.slice/cri-containerd-${id}.scope`, id, uid],
  ['Kubernetes, cgroupfs driver', `/kubepods/besteffort/pod${uid}/${id}`, id, uid],
  ['Kubernetes, guaranteed, cgroupfs driver', `/kubepods/pod${uid}/${id}`, id, uid],
  [
    'Kubernetes, mixed drivers',
    `/system.slice/containerd.service/kubepods-burstable-pod${slice}.slice:cri-containerd:${id}`,
    id,
    uid,
  ],
  ['Kubernetes, a static pod', `/kubepods/burstable/pod${staticUid}/${id}`, id, staticUid],
  [
    'Kubernetes in Docker',
    `/docker/${outer}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${slice}.slice/cri-containerd-${id}.scope`,
    id,
    uid,
  ],
  ['the kubelet in Docker', `/docker/${outer}/kubelet.slice/kubelet.service`, outer, undefined],
  [
    'a group inside a container of a pod',
    `${kubepods}/kubepods-burstable-pod${slice}.slice/cri-containerd-${id}.scope/init`,
    id,
    uid,
  ],
  ['a directory that begins like a pod', `/podman/${id}`, id, undefined],
  ['hex of another length', `/docker/${id}0`, undefined, undefined],
  ['upper-case hex', `/docker/${id.toUpperCase()}`, undefined, undefined],
  ['an id that is the end of a word', `/x${id}`, undefined, undefined],
];
for (const [title, path, expectedId, podUid] of rows) {
  test(title, () => {
    assert.deepEqual(containerOf(path), { id: expectedId, podUid });
  });
}
