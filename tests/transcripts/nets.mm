# interfaces of VMs that exist
namespace red
ns bridge lan
vm config networks lan,LAN,02:00:00:00:00:01 BACK
vm launch kvm web
vm start web
.columns name,vlan,bridge vm info
vm net disconnect web 0
.columns name,vlan,bridge vm info
vm net connect web 0 DMZ
.columns name,vlan,bridge vm info
vm net connect web 1 OPS lan
.columns name,vlan,bridge .filter mac=02:00:00:00:00:01 vm info
vlans

# what cannot be plugged in changes nothing
vm net connect web 2 DMZ
vm net connect web 0 5000
vm net connect nobody 0 LAN
vm net disconnect web 7
vm kill web
vm net connect web 0 LAN
vm start web
.columns name,state,vlan,bridge vm info
vlans
vm flush

# more interfaces
clear vm config
vm config net LAN
vm launch kvm more[1-3]
vm start more[1-2]
vm kill more2
vm net add more1 DMZ,02:00:00:00:00:09 lan,OPS,virtio-net-pci
vm net add more[2-3] DMZ
.columns name,state,vlan,bridge vm info
.columns host,netcommit .filter netcommit!=0 host
vm start more2
vm net disconnect more1 2
.columns name,vlan .filter name=more1 vm info
vm net add more[1-3] DMZ,02:00:00:00:00:10
vm net add more1 5000
vm net add more1 a,b,c,d,e
vm net add nobody LAN
.columns name,vlan .filter name=more1 vm info
clear namespace all
