// The database for rows: Entra ID only, pays by the second, sleeps when nobody asks. Its tables are made by bic (docs/sql.md).
import { cidr, isPrivate } from 'ranges.bicep'

@description('Name of the server.')
param name string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Its administrator: object id of a user or group, client id of an application.')
param administratorId string

@description('How the server shows him.')
param administratorName string

@description('User, Group or Application.')
param administratorType string

@description('Resource id of the workspace that the audit log goes to.')
param workspaceId string

@description('All of Azure may knock.')
param openToAzure bool

@description('Address ranges from which administrators may knock.')
param administratorRanges string[]

@description('Local, Zone or Geo: where backups are kept.')
param redundancy string

@description('Minutes without a connection after which it sleeps.')
param pauseMinutes int

@description('off, pause or bill.')
param freeOffer string

@description('Days of point-in-time restore.')
param backupDays int

@description('Threat detection of Microsoft Defender.')
param threatDetection bool

@description('The free offer is in use; it keeps backups in one data centre.')
var free = freeOffer != 'off'

@description('The ranges that come by the public door.')
var publicRanges = filter(administratorRanges, range => !isPrivate(range))

@description('What is audited: who entered or was refused, and who changed users, rights or tables. No statements: they would hold what customers typed.')
var audited = [
  'SUCCESSFUL_DATABASE_AUTHENTICATION_GROUP'
  'FAILED_DATABASE_AUTHENTICATION_GROUP'
  'DATABASE_PRINCIPAL_CHANGE_GROUP'
  'DATABASE_ROLE_MEMBER_CHANGE_GROUP'
  'DATABASE_PERMISSION_CHANGE_GROUP'
  'SCHEMA_OBJECT_PERMISSION_CHANGE_GROUP'
  'SCHEMA_OBJECT_CHANGE_GROUP'
  'DATABASE_OBJECT_CHANGE_GROUP'
]

resource server 'Microsoft.Sql/servers@2025-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    version: '12.0'
    minimalTlsVersion: '1.2'
    publicNetworkAccess: openToAzure || !empty(publicRanges) ? 'Enabled' : 'Disabled'
    restrictOutboundNetworkAccess: 'Enabled'
    administrators: {
      administratorType: 'ActiveDirectory'
      azureADOnlyAuthentication: true
      principalType: administratorType
      login: administratorName
      sid: administratorId
      tenantId: subscription().tenantId
    }
  }

  resource sessions 'databases' = {
    name: 'sessions'
    location: location
    tags: tags
    sku: { name: 'GP_S_Gen5', tier: 'GeneralPurpose', family: 'Gen5', capacity: 2 }
    properties: {
      minCapacity: json('0.5')
      autoPauseDelay: pauseMinutes
      maxSizeBytes: 34359738368
      requestedBackupStorageRedundancy: free ? 'Local' : redundancy
      useFreeLimit: free
      freeLimitExhaustionBehavior: free ? (freeOffer == 'pause' ? 'AutoPause' : 'BillOverUsage') : null
    }

    resource restorable 'backupShortTermRetentionPolicies' = {
      name: 'default'
      properties: {
        retentionDays: free ? min(backupDays, 7) : backupDays
        diffBackupIntervalInHours: 24
      }
    }
  }

  // Without a virtual network the app's addresses are Azure's; entering still takes a token of a user of this database.
  resource fromAzure 'firewallRules' = if (openToAzure) {
    name: 'AllowAllWindowsAzureIps'
    properties: { startIpAddress: '0.0.0.0', endIpAddress: '0.0.0.0' }
  }

  resource fromAdministrators 'firewallRules' = [
    for (range, index) in publicRanges: {
      name: 'administrators-${index}'
      properties: {
        startIpAddress: parseCidr(cidr(range)).network
        endIpAddress: parseCidr(cidr(range)).broadcast
      }
    }
  ]

  resource auditing 'auditingSettings' = {
    name: 'default'
    properties: {
      state: 'Enabled'
      isAzureMonitorTargetEnabled: true
      auditActionsAndGroups: audited
    }
  }

  resource threats 'securityAlertPolicies' = if (threatDetection) {
    name: 'Default'
    properties: { state: 'Enabled' }
  }

  resource master 'databases' existing = {
    name: 'master'
  }
}

// What the server audits leaves by its database master.
#disable-next-line use-recent-api-versions // Azure offers logs in no other version
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: server::master
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'SQLSecurityAuditEvents', enabled: true }]
  }
  dependsOn: [server::sessions]
}

@description('Resource id of the server.')
output serverId string = server.id

@description('Host of the server.')
output serverHost string = server.properties.fullyQualifiedDomainName
