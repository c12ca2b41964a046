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
clear namespace all
