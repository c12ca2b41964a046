# Disk images: made, copied, looked at.
shell rm -rf /tmp/shoal-disks-transcript
shell mkdir /tmp/shoal-disks-transcript
disk create qcow2 disks/data.qcow2 10G
disk create raw disks/small.img 1M
disk info disks/data.qcow2
disk info file:disks/small.img recursive
disk create qcow2 disks/data.qcow2 10G
disk create qcow2 disks/data.qcow2/x 10G
disk create qcow2 ../data.qcow2 10G
disk create qcow2 other.qcow2 0
disk create qcow2 other.qcow2 10X
disk create qcow2 other.qcow2 100000T
disk create raw other.img 20G

# a copy of a file of the cluster is a second name
disk snapshot disks/data.qcow2 disks/mine.qcow2
disk info disks/mine.qcow2
.columns name file list disks
disk snapshot disks/none.qcow2 other.qcow2
disk snapshot disks/data.qcow2 disks/mine.qcow2
disk snapshot disks/small.img disks/data.qcow2
disk snapshot disks/data.qcow2 /tmp/shoal-disks-transcript/mine.qcow2

# on the head
disk create qcow2 /images/base.qcow2 1G
disk create qcow2 /images/base.qcow2 1G
disk snapshot /images/base.qcow2 /images/top.qcow2
disk info /images/top.qcow2
disk info /images/top.qcow2 recursive
disk snapshot /images/top.qcow2 disks/from-head.qcow2
disk info disks/from-head.qcow2
disk info /images/none.qcow2
disk info disks/none.qcow2
disk info disks

# a file of the cluster needs no others
shell sh -c "printf 'QFI\\373\\000\\000\\000\\003\\000\\000\\000\\000\\000\\000\\001\\000\\000\\000\\000\\012' > /tmp/shoal-disks-transcript/hostile.qcow2"
file put /tmp/shoal-disks-transcript/hostile.qcow2
disk inject disks/data.qcow2 files a:b
disk resize disks/data.qcow2 20G
file delete disks/*
shell rm -rf /tmp/shoal-disks-transcript
