# Two namespaces with the same VLAN and the same addresses, as a person at the prompt sees them.
.columns namespace,vms,active namespace
.columns host,role,state,head mesh list
namespace red
ns hosts
ns queueing
.columns name,state,vlan,bridge,namespace vm info
.columns name,state,namespace namespace blue vm info
.filter state=paused vm info
.columns host,vms,cpucommit,netcommit host
vlans
tap
tap create 100 bridge lan ip 10.0.0.253
tap create 100 bridge lan ip fd00::1 six
.columns tap,ip tap
tap delete mega_tap1
tap delete six
.columns bridge,vlans,tunnels bridge
vm stop vm2
.columns name,state vm info
vm stop vm2
vm start vm2
.columns name,state vm info
vm qmp vm2 '{"execute": "query-name"}'
.columns name,host vm top
capture
vm hotplug

# what cannot be
vm start vm1
vm kill vm9
vm launch kvm vm1
ns del-bridge lan
capture pcap vm vm1 3 x.pcap
vm qmp vm1 '{"execute": "no-such-thing"}'
vm cdrom change vm1 none.iso
vm screenshot vm1 file ../x.png
tap create 100 bridge lan ip 10.0.0.999/24
qos add vm1 3 rate 1 mbit
namespace nobody ns run shell true
clear namespace nobody
