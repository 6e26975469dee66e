# SPDX-License-Identifier: MIT
#
# For the scripts that run in the VM: mounts of morselfs with other leaves (MODES of cells.py).

mount_mode() { # MODE DIR [OPTIONS]
	case $1 in
	churn) mode_options=huge=always mode_churn=1 ;;
	*) mode_options=huge=$1 mode_churn=0 ;;
	esac
	echo $mode_churn >/sys/module/morselfs/parameters/churn
	mount -t morselfs -o "$mode_options${3:+,$3}" none "$2"
}
