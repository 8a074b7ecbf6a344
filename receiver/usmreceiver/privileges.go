//go:build linux

package usmreceiver // import "usm-receiver.test/receiver/usmreceiver"

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What usm-receiver may need of a Collector that is run by root: to load and attach its programs, and to read what other processes run.
var neededCapabilities = map[uintptr]bool{
	unix.CAP_BPF:                true,
	unix.CAP_PERFMON:            true,
	unix.CAP_SYS_PTRACE:         true,
	unix.CAP_DAC_READ_SEARCH:    true,
	unix.CAP_CHECKPOINT_RESTORE: true,
	unix.CAP_DAC_OVERRIDE:       true,
	unix.CAP_CHOWN:              true,
	unix.CAP_FOWNER:             true,
	unix.CAP_SYS_RESOURCE:       true,
}

// restrictThread takes from the calling thread what the programs that it starts do not need. The thread keeps what it has itself.
// A Collector without root gives what it has, and its executable may have file capabilities, which PR_SET_NO_NEW_PRIVS would void.
func restrictThread() error {
	if os.Getuid() != 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
		if neededCapabilities[capability] {
			continue
		}
		// EINVAL: this kernel does not have it. EPERM: a Collector without CAP_SETPCAP has few enough.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil && err != unix.EINVAL && err != unix.EPERM {
			return fmt.Errorf("prctl(PR_CAPBSET_DROP, %d): %w", capability, err)
		}
	}
	return nil
}
