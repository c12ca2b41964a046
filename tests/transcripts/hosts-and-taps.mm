# hosts of a namespace
namespace red
ns hosts
ns del-hosts all
ns hosts
vm launch kvm a
ns add-hosts mm[1-2],localhost
ns hosts
ns del-hosts localhost,nobody
ns hosts
vm launch kvm a
ns del-hosts mm1
ns del-hosts mm1 force
ns hosts
.columns host,cpus,vms,cpucommit,netcommit host
ns load
ns load memcommit
ns load
ns load cpu relative
ns load

# taps of the head
tap create LAN
tap create LAN name uplink
tap create LAN name uplink
tap create LAN bridge foo ip 10.0.0.254/24
tap create LAN ip 10.0.0.254
tap create LAN ip fd00::1 six
tap create LAN ip nonsense
tap create LAN ip 10.0.0.254/33
tap create LAN ip 10.0.0
tap create LAN on nobody
tap create LAN dhcp
tap create LAN bridge foo dhcp cam0 on mm2
tap
.columns tap,host,ip tap
tap delete nothing
tap delete uplink
namespace blue
tap delete mega_tap0
tap
namespace red
tap delete all
tap
clear namespace all
