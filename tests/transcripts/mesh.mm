# The hosts of the cluster, whatever the namespace.
namespace red
.columns host,role,state,head,accelerator mesh list
.columns host,role,state,head,accelerator mesh status
.columns host,state .filter role=edge mesh list
.filter host~mm .columns host,state,head mesh status
.headers false .columns host .filter host~mm mesh list
.csv true .columns host,role .filter head=true mesh list
.columns host,nothing mesh status
.filter nothing=x mesh list
namespace blue .filter host=mm0 .columns host,role mesh list
.columns host host

# hosts that are drained, let in again, or that somebody takes for dead
host drain mm[1-2]
.filter host~mm .columns host,state mesh list
host resume mm1
host resume mm1
.filter host~mm .columns host,state mesh status
host resume nobody
host resume mm[1-2],nobody
host resume mm[2-1]
host resume mm[2
.filter host~mm .columns host,state mesh status
host resume mm[0-3]
.filter host~mm .columns host,state mesh status
clear namespace all
