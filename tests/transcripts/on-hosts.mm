# Commands that run on hosts: `ns run` on those of the namespace, `mesh send` on those that are named.
namespace spread
ns del-hosts all
ns add-hosts mm[1-3]
vm config net LAN
vm config coschedule 0
vm launch kvm web[1-3]
tap create LAN name up1 on mm1
tap create LAN name up2 on mm2

# one answer of several hosts is folded
.columns host,vms ns run host
ns run tap
.compress false ns run tap
.columns host,name,vlan ns run vm info
ns run .columns name vm info
ns run .filter name=web2 .columns host,name vm info
capture pcap vm web3 0 web3.pcap
ns run capture
ns run file list
ns run bridge
ns run .columns name,nonsense vm info
capture pcap delete vm web3
ns run .columns name file list
.compress false ns run .columns name file list
.csv true .columns host,name ns run vm info

# programs run where the worker's settings allow it
ns run shell echo hello
mesh send mm[1,3] shell echo hello

# named hosts, in the namespace or not; `all` is every host but the head
.columns host mesh send head,mm0 host
.columns host,tap mesh send mm2 tap
.columns name mesh send mm1 vm info
.columns host mesh send all host
mesh send nobody host

# what cannot be run
ns run vm launch kvm x
ns run capture pcap snaplen
ns run echo hello
ns run ns run host
ns run mesh send all host
ns run namespace other host
mesh send all mesh send all host
mesh send all ns run host
mesh send all read foo
mesh send mm1 vm start all
namespace empty ns del-hosts all
namespace empty ns run host

# all is cleared, but for the files
vlans blacklist 105
clear all
namespace
vlans blacklist
.columns name file list
file delete web3.pcap
history
