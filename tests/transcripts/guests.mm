# Reaching into running VMs: their QEMU, their screen, what they take, what is plugged into them.
namespace guests
vm config cdrom /isos/first.iso
vm launch kvm web[1-2]
clear vm config
vm launch kvm bare

# QEMU's machine protocol
vm qmp web1 '{ "execute": "query-status" }'
vm start web1
vm qmp web1 '{ "execute": "query-status" }'
vm qmp web1 query-status
vm qmp web1 {"execute":"query-status"}
vm qmp web1 '["execute"]'
vm qmp web9 '{ "execute": "query-status" }'
vm qmp all '{ "execute": "query-status" }'
vm kill bare
vm qmp bare '{ "execute": "query-status" }'

# screenshots are files of the cluster
vm screenshot web1
vm screenshot web1 file web1.png 100
vm screenshot web1 file deep/web1.png
.columns dir,name file list
.columns name file list screenshots/guests
vm screenshot web1 file web1.png/inside
vm screenshot web1 file ../web1.png
vm screenshot web1 -1
vm screenshot bare

# what they take
.columns name,procs,host vm top
vm top 0
vm top x

# CD-ROM images
vm cdrom eject web1
.columns name,cdrom vm info
vm cdrom eject web1
vm cdrom eject all
vm cdrom change web[1-2] web1.png
.columns name,cdrom vm info
vm cdrom change web1 none.iso
vm cdrom change bare web1.png
vm cdrom change web9 web1.png

# USB drives
vm hotplug
vm hotplug add web1 web1.png
vm hotplug add web1 web1.png serial 12345 1.1
vm hotplug add web[1-2] deep/web1.png 2.0
vm hotplug
vm hotplug show web2
vm hotplug add web1 none.img
vm hotplug remove web1 1
vm hotplug remove web1 1
vm hotplug remove web1 x
vm hotplug remove all all
vm hotplug
vm hotplug remove web1 all
vm hotplug remove all all
clear namespace guests
file delete web1.png
file delete deep/web1.png
file delete screenshots/guests/web1.png
