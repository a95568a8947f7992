// A private address for each service that the app speaks to, and the names by which they are found there.
param token string
param location string
param tags object
param networkId string
param subnetId string
param hostStorageId string
param dataStorageId string
param vaultId string
param sqlServerId string

var storageSuffix = environment().suffixes.storage
var services = concat(
  [
    { name: 'host-blob', kind: 'blob', zone: 'privatelink.blob.${storageSuffix}', id: hostStorageId }
    { name: 'host-queue', kind: 'queue', zone: 'privatelink.queue.${storageSuffix}', id: hostStorageId }
    { name: 'host-table', kind: 'table', zone: 'privatelink.table.${storageSuffix}', id: hostStorageId }
    { name: 'data-blob', kind: 'blob', zone: 'privatelink.blob.${storageSuffix}', id: dataStorageId }
    { name: 'vault', kind: 'vault', zone: 'privatelink.vaultcore.azure.net', id: vaultId }
  ],
  empty(sqlServerId) ? [] : [
    { name: 'sql', kind: 'sqlServer', zone: 'privatelink${environment().suffixes.sqlServerHostname}', id: sqlServerId }
  ]
)
var zoneNames = union(map(services, service => service.zone), [])

resource zones 'Microsoft.Network/privateDnsZones@2020-06-01' = [for zone in zoneNames: {
  name: zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2020-06-01' = [for (zone, index) in zoneNames: {
  parent: zones[index]
  name: 'link-${token}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: networkId }
  }
}]

resource endpoints 'Microsoft.Network/privateEndpoints@2024-05-01' = [for service in services: {
  name: 'pe-bic-${service.name}-${token}'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: service.name
        properties: { privateLinkServiceId: service.id, groupIds: [service.kind] }
      }
    ]
  }
}]

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [for (service, index) in services: {
  parent: endpoints[index]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: service.kind
        properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', service.zone) }
      }
    ]
  }
  dependsOn: [zones]
}]
