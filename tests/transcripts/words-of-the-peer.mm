# Words of minimega that have no effect here let a script go on.
backchannel
backchannel false
mesh degree
mesh degree 4
mesh timeout 10
clear mesh degree
clear mesh timeout

# those that Shoal does not have say so, and let it go on too
.env
background true
background-status 1
bridge config mega_bridge stp_enable=true
bridge destroy mega_bridge
bridge tunnel vxlan mega_bridge 10.0.0.2
bridge notunnel mega_bridge mega_tap0
capture netflow mode raw
cc
cc exec true
check
clear cc filter
clear deploy flags
clear optimize
clear pipe
clear plumb
clear router
clear vnc
debug memory x
deploy launch mm1
dnsmasq start 10.0.0.1 10.0.0.2 10.0.0.254
log level debug
disk commit a.qcow2
disk inject a.qcow2 files a:b
disk rebase a.qcow2 b.qcow2
disk resize a.qcow2 10G
disk set-backing a.qcow2 b.qcow2
mesh dial mm1
mesh dot mesh.dot
mesh hangup mm1
ns snapshot x
nuke
optimize hugepages /hugepages
pipe a
plumb a b
process list
router r commit
vm launch container c
vm migrate a a.migrate
vm net bond a 0 1
vm snapshot a
vnc record kb a a.kb
web
write a

# their prefixes are taken for them where ours are not
backc
mesh deg
clear router r1
namespace peer cc
.columns a cc

# and they are not carried to hosts either
ns run cc
ns run backchannel
