# put: under its own name, or another
shell rm -rf /tmp/shoal-files-transcript
shell mkdir -p /tmp/shoal-files-transcript/out
shell sh -c "printf one > /tmp/shoal-files-transcript/kernel"
file list
file put /tmp/shoal-files-transcript/kernel
file put /tmp/shoal-files-transcript/kernel as boot/kernel-1.0
file put /tmp/shoal-files-transcript/kernel as boot/other/kernel
file list
file list boot
file list boot/kernel-1.0
.columns name,digest file list kernel

# what cannot be put
file put /tmp/shoal-files-transcript/nope
file put /tmp/shoal-files-transcript/out
file put /dev/null
file put /tmp/shoal-files-transcript/kernel as /kernel
file put /tmp/shoal-files-transcript/kernel as ../kernel
file put /tmp/shoal-files-transcript/kernel as "a b"
file put /tmp/shoal-files-transcript/kernel as boot
file put /tmp/shoal-files-transcript/kernel as kernel/x
file list nope

# get: a file appears whole, and takes no other's place
file get boot/kernel-1.0 to /tmp/shoal-files-transcript/out
file get kernel to /tmp/shoal-files-transcript/back
shell cat /tmp/shoal-files-transcript/back /tmp/shoal-files-transcript/out/kernel-1.0
file get kernel to /tmp/shoal-files-transcript/back
shell sh -c "printf two > /tmp/shoal-files-transcript/back"
file get kernel to /tmp/shoal-files-transcript/back
file get kernel to /tmp/shoal-files-transcript/no/where
file get boot
file get nope

# a VM has the content of the time of its launch
namespace red
vm config kernel file:kernel
vm config initrd boot/nope
vm launch kvm a
clear vm config initrd
vm config disks boot/kernel-1.0
vm config snapshot false
vm launch kvm a
vm config snapshot true
vm launch kvm a
vm start a
.columns name,state,kernel,disks vm info
vm config kernel file:../kernel
vm launch kvm b

# another content for a name that is taken
file put /tmp/shoal-files-transcript/back as kernel
file put /tmp/shoal-files-transcript/back as kernel replace
file get kernel to /tmp/shoal-files-transcript/two
shell cat /tmp/shoal-files-transcript/two

# the content of a VM stays until the VM is forgotten
file delete boot/kernel-1.0
file delete boot
file delete boot/*/*/*
file delete boot/other/kernel
file delete kernel
file delete kernel
file list
vm kill a
vm start a
.columns name,state vm info
shell rm -rf /tmp/shoal-files-transcript
