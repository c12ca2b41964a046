# Captures: packets of a VM's interface, or of the namespace's segments, into files of the cluster.
namespace captured
vm config net LAN DMZ
vm launch kvm web[1-2]
vm start all
capture
capture pcap vm web1 0 web1.pcap
capture pcap vm web1 1 /tmp/web1.pcap
capture
.columns interface,host,vlan capture
capture pcap vm web1 2 x.pcap
capture pcap vm web1 -1 x.pcap
capture pcap vm web1 one x.pcap
capture pcap vm nobody 0 x.pcap
capture pcap vm web1 0 ../x.pcap
capture pcap vm web2 0 web1.pcap
capture pcap vm web2 0 web1.pcap/inside

# the file is there when the capture ends
file list
capture pcap delete vm web1 1
capture
capture pcap delete vm web1
capture
.columns name,size file list
capture pcap delete vm web1
capture pcap delete vm nobody
capture pcap delete vm all

# also when its VM ends
capture pcap vm web2 0 captures/web2.pcap
vm kill web2
capture
file list captures
capture pcap vm web2 0 captures/web2.pcap

# a bridge: one file for each host and VLAN
tap create LAN
capture pcap bridge mega_bridge all.pcap
capture
.columns vlan,host,path .filter host=head capture
capture pcap bridge mega_bridge all.pcap
capture pcap bridge none none.pcap
capture pcap delete bridge none
capture pcap delete bridge mega_bridge
file list

# which packets, and how much of them
capture pcap snaplen
capture pcap snaplen 96
capture pcap snaplen
capture pcap snaplen -1
capture pcap snaplen x
capture pcap filter
capture pcap filter icmp or (port 80)
capture pcap filter
capture pcap filter icmp or (port 80
capture pcap filter
capture pcap filter ""
capture pcap filter

# all of them; other namespaces keep theirs
capture pcap vm web1 0 last.pcap
namespace other capture
namespace other clear capture
clear capture netflow
.columns path capture
clear capture pcap
clear capture
capture
capture netflow mode raw

# a namespace's end is its captures' end
capture pcap vm web1 0 end.pcap
clear namespace captured
file list end.pcap
file delete captures/*
file delete *.pcap
file delete *.pcap
file list
